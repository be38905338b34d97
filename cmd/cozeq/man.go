package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManCmd writes the manual pages, out of the same texts as --help. It is for who
// makes packages, so it is not listed.
func newManCmd(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIRECTORY",
		Short: "Write the manual pages",
		Long: `Writes a manual page for each command into DIRECTORY, which is made where there is
none: cozeq.1, cozeq-run.1 and so on. $SOURCE_DATE_EPOCH sets their date, as packagers
of reproducible builds want it.`,
		Example: "  cozeq man /usr/local/share/man/man1",
		Hidden:  true,
		Args:    wants(1, 1, "DIRECTORY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			date, err := manDate(s)
			if err != nil {
				return usagef(cmd, "%w", err)
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{
				Title: "COZEQ", Section: "1", Date: &date, Source: "cozeq " + s.Version, Manual: "cozeq",
			}, args[0])
		},
	}
}

func manDate(s *streams) (time.Time, error) {
	const env = "SOURCE_DATE_EPOCH"
	text, _ := s.Env(env)
	if text == "" {
		return time.Now().UTC(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %q, want seconds since 1970", env, text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
