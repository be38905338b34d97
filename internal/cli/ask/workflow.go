package ask

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/parameter"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/tasks"
)

// workflow are the flags of a workflow's run, and of a question to a chatflow.
type workflow struct {
	id       string
	chatflow string
	params   []string // of the chatflow
	app      string
	resume   string // the event's id
	kind     int    // the interrupt's type

	files []fileParam
}

// fileParam is a parameter that is a file of this machine.
type fileParam struct{ name, path string }

// parameters reads parameters. Those that are files, NAME:file=PATH, are checked, and get their value when they are uploaded.
func (w *workflow) parameters(args []string) (map[string]json.RawMessage, error) {
	var plain []string
	for _, arg := range args {
		name, path, _ := strings.Cut(arg, "=")
		name, typ := parameter.Split(name)
		if !parameter.IsFile(typ) {
			plain = append(plain, arg)
			continue
		}
		if err := attachment.Check(path); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		w.files = append(w.files, fileParam{name, path})
	}
	return parameter.Parse(plain)
}

func (w *workflow) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.id, "workflow", "", "run the workflow with this `ID` in place of a question; the arguments are its parameters")
	f.StringVar(&w.chatflow, "chatflow", "", "ask the chatflow with this `ID`; it needs --app or a bot")
	f.StringArrayVar(&w.params, "param", nil, "with --chatflow: a parameter, as `NAME=VALUE` or NAME:int=VALUE; may be repeated")
	f.StringVar(&w.app, "app", "", "with --workflow or --chatflow: `ID` of the app that the workflow belongs to")
	f.StringVar(&w.resume, "resume", "", "with --workflow: resume the run that the interrupt with this event `ID` stopped; the argument is the answer")
	f.IntVar(&w.kind, "interrupt-type", 2, "with --resume: `TYPE` of the interrupt")
}

func (o *options) args(cmd *cobra.Command, args []string) error {
	flows := settings.WorkflowFlags{Flows: input.Flows{Workflow: o.workflow.id, Chatflow: o.workflow.chatflow, App: o.workflow.app}}
	if err := flows.Apply(cmd, &input.Options{BotID: cmd.Flag(settings.Bot).Value.String()}); err != nil {
		return err
	}
	switch {
	case o.workflow.id == "" && o.workflow.resume != "":
		return misuse.Errorf(cmd, "--resume goes with --workflow")
	case o.workflow.chatflow == "" && len(o.workflow.params) > 0:
		return misuse.Errorf(cmd, "--param goes with --chatflow; a workflow's parameters are arguments")
	case o.workflow.resume != "":
		return misuse.CheckArgs(1, 1, "ANSWER")(cmd, args)
	case o.workflow.id != "":
		return nil
	}
	return misuse.CheckArgs(1, 1, "QUESTION")(cmd, args)
}

// toChatflow puts the question to the chatflow of the flags, if there is one.
func (o *options) toChatflow(cmd *cobra.Command, chat *tasks.Chat) (err error) {
	w := &o.workflow
	if w.chatflow == "" {
		return nil
	}
	for name, set := range map[string]bool{"var": len(o.vars) > 0, "image": len(o.images) > 0, "file": len(o.files) > 0} {
		if set {
			return misuse.Errorf(cmd, "--%s and --chatflow: a chatflow takes text and parameters", name)
		}
	}
	chat.WorkflowID, chat.AppID = w.chatflow, w.app
	if chat.Parameters, err = w.parameters(w.params); err != nil {
		return misuse.Errorf(cmd, "%w", err)
	}
	return nil
}

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
	if chat.Parameters, err = o.workflow.parameters(args); err != nil {
		return nil, misuse.Errorf(cmd, "%w", err)
	}
	return chat, nil
}
