package ask

import (
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/parameter"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/tasks"
)

// workflow are the flags of a workflow's run.
type workflow struct {
	id     string
	app    string
	resume string // the event's id
	kind   int    // the interrupt's type
}

func (w *workflow) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.id, "workflow", "", "run the workflow with this `ID` in place of a question; the arguments are its parameters")
	f.StringVar(&w.app, "app", "", "with --workflow: `ID` of the app that it is of")
	f.StringVar(&w.resume, "resume", "", "with --workflow: go on with the run of the interrupt with this event `ID`; the argument is the answer")
	f.IntVar(&w.kind, "interrupt-type", 2, "with --resume: `TYPE` of the interrupt")
}

// args checks the number of arguments.
func (o *options) args(cmd *cobra.Command, args []string) error {
	switch {
	case o.workflow.id == "" && o.workflow.app+o.workflow.resume != "":
		return misuse.Errorf(cmd, "--app and --resume go with --workflow")
	case o.workflow.resume != "":
		return misuse.CheckArgs(1, 1, "ANSWER")(cmd, args)
	case o.workflow.id != "":
		return nil
	}
	return misuse.CheckArgs(1, 1, "QUESTION")(cmd, args)
}

// runChat is the task of the run.
func (o *options) runChat(cmd *cobra.Command, args []string) (*tasks.Chat, error) {
	for name, set := range map[string]bool{
		"conversation": o.conversation != "", "var": len(o.vars) > 0, "image": len(o.images) > 0, "file": len(o.files) > 0,
	} {
		if set {
			return nil, misuse.Errorf(cmd, "--%s and --workflow: a workflow takes parameters", name)
		}
	}
	chat := tasks.RunWorkflow(o.workflow.id, nil)
	chat.AppID, chat.UserID, chat.Stream, chat.Credential = o.workflow.app, o.user, o.stream, o.questions.Credential
	if cmd.Flags().Changed(settings.Bot) {
		chat.BotID = settings.Of(cmd, o.streams).Text(settings.Bot, "")
	}
	if o.workflow.resume != "" {
		chat.Resume = &tasks.Resume{EventID: o.workflow.resume, InterruptType: o.workflow.kind, Data: args[0]}
		return chat, nil
	}
	var err error
	if chat.Parameters, err = parameter.Parse(args); err != nil {
		return nil, misuse.Errorf(cmd, "%w", err)
	}
	return chat, nil
}
