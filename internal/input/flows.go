package input

import "github.com/cozeq/cozeq/internal/usage"

// Flows say that the rows are runs of a workflow, or questions to a chatflow. Empty: they are questions to bots.
type Flows struct {
	Workflow string   // its ID
	Chatflow string   // its ID
	App      string   // ID of the app that the workflow belongs to
	Params   []string // of the workflow: see Workflow
}

func (f *Flows) NeedsBot() bool { return f.Workflow == "" && (f.Chatflow == "" || f.App == "") }

// Apply puts them into the options. bot is one that was named for these rows; o.BotID may be a default. Its error is a
// *usage.Error.
func (f *Flows) Apply(o *Options, bot string) error {
	switch {
	case f.Workflow != "" && f.Chatflow != "":
		return &usage.Error{What: "--workflow and --chatflow: choose one", Hint: "a chatflow has questions, another workflow only parameters"}
	case f.Workflow == "" && len(f.Params) > 0:
		return &usage.Error{What: "--param goes with --workflow", Hint: "questions have a column parameters, as JSON"}
	case f.Workflow+f.Chatflow == "" && f.App != "":
		return &usage.Error{What: "--app goes with --workflow or --chatflow", Hint: "name one, or leave --app out"}
	case f.App != "" && bot != "":
		return &usage.Error{What: "--app and --bot: Coze takes one of the two", Hint: "leave one out"}
	case f.Workflow != "" && o.OnTurnFailure != "":
		return &usage.Error{What: "--on-turn-failure and --workflow: a workflow's runs are in no conversation", Hint: "leave --on-turn-failure out"}
	case f.Workflow != "":
		o.Workflow, o.BotID = &Workflow{ID: f.Workflow, AppID: f.App, BotID: bot, Params: f.Params}, ""
	case f.Chatflow != "":
		o.Chatflow = &Chatflow{ID: f.Chatflow, AppID: f.App}
		if f.App != "" {
			o.BotID = ""
		}
	}
	return nil
}
