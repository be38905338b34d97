package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/terminal"
)

func newVersionCmd(s *terminal.Streams) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    `Prints the version of cozeq, the version of Go that built it, and the platform.`,
		Example: "  cozeq version",
		Args:    misuse.CheckArgs(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(s.Out, "cozeq", versionText(s.Version))
			return err
		},
	}
}

func versionText(version string) string {
	return fmt.Sprintf("%s %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// versionName is the version that the linker has set, else the one that go install knows.
func versionName(linked string) string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
