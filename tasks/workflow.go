package tasks

import (
	"encoding/json"
	"fmt"
	"regexp"
	"unicode/utf8"
)

// TypeWorkflow is the asynq type of a task that runs a workflow of Coze's.
const TypeWorkflow = "coze:workflow"

// Resume goes on with a workflow's run that was interrupted: the result of its task names EventID and InterruptType in
// interrupt. It is another task, and Coze bills it as another run.
type Resume struct {
	EventID       string `json:"event_id"`
	InterruptType int    `json:"interrupt_type"`
	Data          string `json:"resume_data"` // the answer
}

// RunWorkflow returns the task of running a workflow with these parameters of its start node. Its answer is the output of the
// workflow's end node, mostly a JSON object in a string.
func RunWorkflow(workflowID string, parameters map[string]json.RawMessage) *Chat {
	return &Chat{WorkflowID: workflowID, Parameters: parameters}
}

// AskChatflow returns the task of asking a chatflow, a workflow that holds a conversation. Its BotID or AppID has to be set, as
// Coze wants one of them; without both the worker's default bot is taken. It is answered, kept and continued like a bot's.
func AskChatflow(workflowID, question string) *Chat {
	return &Chat{WorkflowID: workflowID, Chatflow: true, AdditionalMessages: []Message{Question(question)}}
}

// IsWorkflow reports whether the task runs a workflow and asks no question.
func (c *Chat) IsWorkflow() bool { return c.WorkflowID != "" && !c.IsChatflow() }

// IsChatflow reports whether the task asks a chatflow.
func (c *Chat) IsChatflow() bool {
	return c.WorkflowID != "" && (c.Chatflow || len(c.AdditionalMessages) > 0)
}

// Type is the task's type in asynq.
func (c *Chat) Type() string {
	if c.IsWorkflow() {
		return TypeWorkflow
	}
	return TypeChat
}

// Asked names who is asked, for limits and pauses: the bot by its id, a workflow or chatflow as workflow:ID.
func (c *Chat) Asked() string {
	if c.WorkflowID != "" {
		return "workflow:" + c.WorkflowID
	}
	return c.BotID
}

// maxRun bounds the parameters of a run, in bytes: Coze takes 20 MB, with what the run adds.
const maxRun = 19 << 20

var workflowPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (c *Chat) validateNamed() error {
	if !workflowPattern.MatchString(c.WorkflowID) {
		return invalid("workflow_id", "%.80q, want the id in the address of the workflow's page", c.WorkflowID)
	}
	if c.BotID != "" && c.AppID != "" {
		return invalid("app_id", "set together with bot_id: Coze takes one of the two")
	}
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"custom_variables", len(c.CustomVariables) > 0},
		{"extra_params", len(c.ExtraParams) > 0},
		{"meta_data", len(c.MetaData) > 0},
		{"auto_save_history", c.AutoSaveHistory != nil},
		{"conversation_id", c.IsWorkflow() && c.ConversationID != ""},
		{"conversation_key", c.IsWorkflow() && c.ConversationKey != ""},
		{"on_turn_failure", c.IsWorkflow() && c.OnTurnFailure != ""},
		{"tools", len(c.Tools) > 0},
	} {
		if f.set {
			return invalid(f.name, "a workflow has none: it takes parameters")
		}
	}
	return nil
}

// maxChatflowMessages is how many messages Coze takes for a chatflow.
const maxChatflowMessages = 50

// validateChatflow checks what Validate does not check of every question.
func (c *Chat) validateChatflow() error {
	if err := c.validateNamed(); err != nil {
		return err
	}
	if c.Resume != nil {
		return invalid("resume", "a chatflow has none: its next turn is the answer")
	}
	if n := len(c.AdditionalMessages); n > maxChatflowMessages {
		return invalid("additional_messages", "%d messages, Coze takes at most %d for a chatflow", n, maxChatflowMessages)
	}
	for i, m := range c.AdditionalMessages {
		if m.ContentType == "object_string" {
			return invalid(fmt.Sprintf("additional_messages[%d].content_type", i), "object_string, but a chatflow's messages are text alone: give files in parameters")
		}
	}
	return nil
}

func (c *Chat) validateWorkflow() error {
	if err := c.validateNamed(); err != nil {
		return err
	}
	if r := c.Resume; r != nil {
		switch {
		case r.EventID == "":
			return invalid("resume.event_id", "empty: the interrupted result has it in interrupt")
		case r.InterruptType == 0:
			return invalid("resume.interrupt_type", "missing: the interrupted result has it in interrupt, as type")
		case len(c.Parameters) > 0:
			return invalid("parameters", "set together with resume: the run has its parameters already")
		case len(r.Data) > maxFields || !utf8.ValidString(r.Data):
			return invalid("resume.resume_data", "want UTF-8 text of at most %d bytes", maxFields)
		}
	}
	size := 0
	for name, value := range c.Parameters {
		if !json.Valid(value) {
			return invalid(fmt.Sprintf("parameters[%q]", name), "not JSON: %.40q", value)
		}
		size += len(name) + len(value)
	}
	if size > maxRun {
		return invalid("parameters", "%d bytes, at most %d", size, maxRun)
	}
	return nil
}

func (c *Chat) splitRun() (body []byte, err error) {
	if body, err = json.Marshal(c.Parameters); err != nil {
		return nil, fmt.Errorf("encode parameters: %w", err)
	}
	if len(body) <= maxInline {
		return nil, nil
	}
	c.Preview, c.Parameters = preview(string(body)), nil
	return body, nil
}
