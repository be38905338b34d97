package settings

import (
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/misuse"
)

// WorkflowFlags are the flags of every command that runs a workflow, or asks a chatflow, for each row of a file.
type WorkflowFlags struct{ input.Flows }

func (w *WorkflowFlags) Add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.Workflow, "workflow", "", "run the workflow with this `ID` for each row; its columns are the parameters")
	f.StringVar(&w.Chatflow, "chatflow", "", "ask the chatflow with this `ID` the questions; it needs --app or a bot")
	f.StringVar(&w.App, "app", "", "with --workflow or --chatflow: `ID` of the app that the workflow belongs to")
	f.StringArrayVar(&w.Params, "param", nil, "with --workflow: take a parameter from a column, as `NAME=COLUMN`; may be repeated (default each column)")
}

func (w *WorkflowFlags) Apply(cmd *cobra.Command, o *input.Options) error {
	bot := ""
	if cmd.Flags().Changed(Bot) {
		bot = o.BotID
	}
	if err := w.Flows.Apply(o, bot); err != nil {
		return misuse.Errorf(cmd, "%w", err)
	}
	return nil
}
