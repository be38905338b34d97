// Package cli is the root command: it gathers the commands, whose packages are below it, and ends them with an exit code
// of internal/exitcode. It also completes words for shells.
package cli

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/cli/ask"
	"github.com/cozeq/cozeq/internal/cli/batch"
	"github.com/cozeq/cozeq/internal/cli/cancel"
	"github.com/cozeq/cozeq/internal/cli/dashboard"
	"github.com/cozeq/cozeq/internal/cli/doctor"
	"github.com/cozeq/cozeq/internal/cli/errorcodes"
	"github.com/cozeq/cozeq/internal/cli/failed"
	"github.com/cozeq/cozeq/internal/cli/health"
	"github.com/cozeq/cozeq/internal/cli/help"
	"github.com/cozeq/cozeq/internal/cli/mock"
	"github.com/cozeq/cozeq/internal/cli/queues"
	"github.com/cozeq/cozeq/internal/cli/result"
	"github.com/cozeq/cozeq/internal/cli/run"
	"github.com/cozeq/cozeq/internal/cli/serve"
	"github.com/cozeq/cozeq/internal/cli/worker"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/internal/tracing"
)

// Groups of commands in the help.
const (
	groupAsk     = "ask"
	groupOperate = "operate"
)

// Main runs the program with the process's own streams and returns its exit code. linked is the version that the linker
// has set. The first signal ends the context, the second one the process.
func Main(linked string) int {
	s := terminal.SystemStreams()
	s.Version = versionName(linked)
	ctx, stop := notifySignals(&s, os.Exit)
	defer stop()
	return Execute(ctx, os.Args[1:], s)
}

// Execute is the program: it runs one command line and returns the exit code.
func Execute(ctx context.Context, args []string, s terminal.Streams) int {
	root := newRootCmd(&s)
	s.Hint, _ = settings.Of(root, &s).Hints() // for what is wrong before flags are read
	if err := misspelt(root, args); err != nil {
		return exitcode.Report(&s, err)
	}
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	return exitcode.Report(&s, root.ExecuteContext(tracing.WithParent(ctx, s.Env)))
}

func newRootCmd(s *terminal.Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "cozeq",
		Short: "Ask Coze many questions, safely",
		Long: `cozeq asks a bot of Coze many questions and writes down every answer. Every
question is answered or reported as failed, and a crash never bills you twice.

It works alone with a file of questions (cozeq run), or with any number of
workers around a shared Redis (cozeq worker).`,
		Example: `  cozeq run --demo                        try it, no token needed
  cozeq run questions.csv -o answers.csv
  cozeq ask "What is a goroutine?"`,
		Version:       versionText(s.Version),
		SilenceUsage:  true,
		SilenceErrors: true,

		SuggestionsMinimumDistance: 2,

		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			hint, err := settings.Of(cmd, s).Hints()
			if err == nil {
				s.Hint = hint
			} else if cmd.Name() != "doctor" && !strings.HasPrefix(cmd.Name(), cobra.ShellCompRequestCmd) {
				return err // doctor has a line for it, and completion must stay silent
			}
			return nil
		},

		Args: func(cmd *cobra.Command, args []string) error { return misuse.UnknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("cozeq {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &misuse.Error{Command: cmd.CommandPath(), Err: misuse.BadFlag(cmd, err)}
	})
	root.PersistentFlags().AddFlag(settings.Flag(root, settings.Lang))
	root.AddGroup(
		&cobra.Group{ID: groupAsk, Title: "Ask"},
		&cobra.Group{ID: groupOperate, Title: "Operate"},
	)
	grouped(root, groupAsk, run.New(s), ask.New(s), batch.New(s), result.New(s), cancel.New(s))
	grouped(root, groupOperate, worker.New(s), serve.New(s), queues.New(s), failed.New(s), dashboard.New(s), doctor.New(s), errorcodes.New(s), mock.New(s), health.New(s), newVersionCmd(s))
	root.AddCommand(help.NewEnvironment(), help.NewExitCodes(), help.NewMan(s))
	root.SetHelpCommand(help.New())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Short = "Print a completion script for a shell"
		}
	}
	root.Flags().Bool("version", false, "print the version")
	help.Lay(root, s)
	completeValues(root, s)
	return root
}

func grouped(root *cobra.Command, id string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = id
		root.AddCommand(c)
	}
}

// misspelt returns an error for an unknown command. cobra would first refuse the unknown flag of "cozeq rnu --demo", and
// would answer "cozeq rnu --help" with the help of cozeq itself.
func misspelt(root *cobra.Command, args []string) error {
	found, _, err := root.Find(args)
	i := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") })
	if err == nil && found != root || i < 0 || strings.HasPrefix(args[i], cobra.ShellCompRequestCmd) {
		return nil
	}
	return misuse.UnknownCommand(root, args[i:])
}
