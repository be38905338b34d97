package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/tasks"
)

// taskRequest is a question as POST /api/v1/tasks takes it: the fields of the payload, and how the task is enqueued.
type taskRequest struct {
	Question string    `json:"question,omitempty" doc:"the question in plain text; additional_messages in its place for more"`
	Messages []message `json:"additional_messages,omitempty" doc:"messages as Coze's /v3/chat takes them; the last one is the question" maxItems:"100"`

	BotID           string                     `json:"bot_id,omitempty" doc:"the bot; without it the server's default"`
	UserID          string                     `json:"user_id,omitempty" doc:"who asks" default:"cozeq"`
	ConversationID  string                     `json:"conversation_id,omitempty" doc:"go on in this conversation of Coze's"`
	ConversationKey string                     `json:"conversation_key,omitempty" doc:"your own name for a conversation: created at its first turn, continued after" maxLength:"512"`
	WorkflowID      string                     `json:"workflow_id,omitempty" doc:"run this workflow in place of a question; with a question, ask this chatflow. bot_id is then the bot that it works with" pattern:"^[A-Za-z0-9_-]{1,64}$"`
	AppID           string                     `json:"app_id,omitempty" doc:"the app that the workflow belongs to; a chatflow needs an app or a bot"`
	WorkflowVersion string                     `json:"workflow_version,omitempty" doc:"version of a workflow in a library; the newest if it is missing"`
	ConnectorID     string                     `json:"connector_id,omitempty" doc:"the channel in which the workflow runs; the API if it is missing"`
	Ext             map[string]string          `json:"ext,omitempty" doc:"latitude, longitude and user_id, for a workflow"`
	Resume          *resume                    `json:"resume,omitempty" doc:"go on with a workflow's run that was interrupted, in place of parameters"`
	CustomVariables map[string]string          `json:"custom_variables,omitempty" doc:"variables of the bot"`
	Parameters      map[string]json.RawMessage `json:"parameters,omitempty" doc:"parameters of a workflow's or chatflow's start node"`
	ExtraParams     map[string]string          `json:"extra_params,omitempty" doc:"passed on to Coze"`
	MetaData        map[string]string          `json:"meta_data,omitempty" doc:"passed on to Coze, at most 16 pairs"`
	AutoSaveHistory *bool                      `json:"auto_save_history,omitempty" doc:"passed on to Coze"`
	OnTurnFailure   string                     `json:"on_turn_failure,omitempty" doc:"what a failure of this turn means for the later turns of its conversation" enum:"skip,block"`
	Credential      string                     `json:"credential,omitempty" doc:"name of the workers' credential to ask with"`
	Stream          bool                       `json:"stream,omitempty" doc:"keep the pieces of the answer for /events; without it there is only the end"`
	CustomID        string                     `json:"custom_id,omitempty" doc:"your own name for the question; it comes back with the result"`
	ExpiresAt       time.Time                  `json:"expires_at,omitzero" doc:"the question is not asked after this moment"`

	ID       string   `json:"id,omitempty" doc:"the task's id, if it is to be yours: the same request again finds the same task" pattern:"^[A-Za-z0-9._:-]{1,200}$"`
	Queue    string   `json:"queue,omitempty" doc:"critical, default, low, or any other that a worker serves" default:"default"`
	Attempts int      `json:"attempts,omitempty" doc:"how often the question may be asked in all; 5 if it is missing" minimum:"1" maximum:"1000000"`
	Timeout  duration `json:"timeout,omitempty" doc:"bounds one attempt; 15m if it is missing"`
	Delay    duration `json:"delay,omitempty" doc:"ask no sooner than this from now, such as 30s, 15m or 2d"`
	Keep     duration `json:"keep,omitempty" doc:"keep the result this long after the end; 24h if it is missing"`

	Webhook *webhookTarget           `json:"webhook,omitempty" doc:"gets the result posted at the end, by Standard Webhooks"`
	Tools   map[string]webhookTarget `json:"tools,omitempty" doc:"client-side tools of the bot, by name: each call is posted to the URL, by Standard Webhooks, and the answer is its output"`
}

type webhookTarget struct {
	URL    string `json:"url" doc:"https, or http to an address that the operator allows"`
	Secret string `json:"secret,omitempty" doc:"name of the secret that signs; without it the key's own, or the only one"`
}

type resume struct {
	EventID       string `json:"event_id" doc:"of the result's interrupt"`
	InterruptType int    `json:"interrupt_type" doc:"type of the result's interrupt"`
	Data          string `json:"resume_data" doc:"the answer"`
}

type message struct {
	Role        string            `json:"role" enum:"user,assistant"`
	Type        string            `json:"type,omitempty" enum:"question,answer,function_call,tool_output,tool_response"`
	Content     string            `json:"content" doc:"text, or for object_string a JSON array as text"`
	ContentType string            `json:"content_type,omitempty" enum:"text,object_string" default:"text"`
	MetaData    map[string]string `json:"meta_data,omitempty"`
}

// duration is written as people write it.
type duration time.Duration

// Schema implements huma.SchemaProvider.
func (duration) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Description: "a duration", Examples: []any{"90s", "15m", "7d"}}
}

func (d *duration) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	value, err := flags.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is no duration: want one like 90s, 15m or 7d", s)
	}
	*d = duration(value)
	return nil
}

func (t *taskRequest) request(defaultBot string) (*submit.Request, error) {
	if asks := t.Question != ""; asks == (len(t.Messages) > 0) && (asks || t.WorkflowID == "") {
		return nil, &tasks.InvalidError{Field: "question", Reason: "give either question or additional_messages"}
	}
	chat := &tasks.Chat{
		BotID: t.BotID, UserID: t.UserID, ConversationID: t.ConversationID, ConversationKey: t.ConversationKey,
		CustomVariables: t.CustomVariables, Parameters: t.Parameters, ExtraParams: t.ExtraParams, MetaData: t.MetaData,
		AutoSaveHistory: t.AutoSaveHistory, OnTurnFailure: t.OnTurnFailure, Credential: t.Credential, Stream: t.Stream,
		CustomID: t.CustomID, ExpiresAt: t.ExpiresAt, WorkflowID: t.WorkflowID, AppID: t.AppID,
		WorkflowVersion: t.WorkflowVersion, ConnectorID: t.ConnectorID, Ext: t.Ext, Resume: (*tasks.Resume)(t.Resume), Tools: toolsOf(t.Tools),
	}
	for _, m := range t.Messages {
		chat.AdditionalMessages = append(chat.AdditionalMessages, tasks.Message(m))
	}
	if t.Question != "" {
		chat.AdditionalMessages = []tasks.Message{tasks.Question(t.Question)}
	}
	if chat.Holder() == "" && !chat.IsWorkflow() {
		chat.BotID = defaultBot
	}
	if chat.Holder() == "" && !chat.IsWorkflow() {
		return nil, &tasks.InvalidError{Field: "bot_id", Reason: "missing, and the server has no default bot"}
	}
	if !t.ExpiresAt.IsZero() && t.ExpiresAt.Before(time.Now()) {
		return nil, &tasks.InvalidError{Field: "expires_at", Reason: "in the past: the question would never be asked"}
	}
	return &submit.Request{Chat: chat, Options: tasks.Options{
		ID: t.ID, Queue: t.Queue, Attempts: t.Attempts, Timeout: time.Duration(t.Timeout), Delay: time.Duration(t.Delay), Keep: time.Duration(t.Keep),
	}}, nil
}

// toolsOf are the tools that a question brings along.
func toolsOf(targets map[string]webhookTarget) map[string]tasks.ToolWebhook {
	tools := make(map[string]tasks.ToolWebhook, len(targets))
	for name, to := range targets {
		tools[name] = tasks.ToolWebhook(to)
	}
	return tools
}

// checkTools checks that the tools of a question can be called, as far as it goes without DNS.
func (g *Gateway) checkTools(tenant string, tools map[string]tasks.ToolWebhook) error {
	for _, name := range slices.Sorted(maps.Keys(tools)) {
		to := webhook.Target{URL: tools[name].URL, Secret: tools[name].Secret, Tenant: tenant, Field: "tools." + name}
		if err := g.webhook.Check(to); err != nil {
			return err
		}
	}
	return nil
}

// hook checks the tools, and has the webhook scheduled before the task is enqueued: a task that ends at once is told of, too.
func (g *Gateway) hook(ctx context.Context, r *submit.Request, to *webhookTarget) error {
	tenant := apikey.FromContext(ctx).Tenant()
	if err := g.checkTools(tenant, r.Chat.Tools); err != nil || to == nil {
		return err
	}
	target := webhook.Target{URL: to.URL, Secret: to.Secret, Tenant: tenant}
	if err := g.webhook.Check(target); err != nil {
		return err
	}
	r.Prepare = func(ctx context.Context, id string) error { return g.webhook.Schedule(ctx, webhook.Task, id, target) }
	return nil
}

// mostTasks bounds an array of questions. A file of them is a batch.
const mostTasks = 1000

// taskSchema is one question, or an array of them.
func taskSchema(r huma.Registry) (one, body *huma.Schema) {
	one = r.Schema(reflect.TypeFor[taskRequest](), true, "Task")
	most, least := mostTasks, 1
	return one, &huma.Schema{OneOf: []*huma.Schema{one, {Type: huma.TypeArray, Items: one, MinItems: &least, MaxItems: &most}}}
}

// decode reads one question and reports every field that is wrong.
func (g *Gateway) decode(text []byte, where string, schema *huma.Schema) (*taskRequest, error) {
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fault(http.StatusBadRequest, "the body is not JSON: %v", err)
	}
	var found huma.ValidateResult
	registry := g.api.OpenAPI().Components.Schemas
	huma.Validate(registry, schema, huma.NewPathBuffer([]byte(where), len(where)), huma.ModeWriteToServer, tree, &found)
	if len(found.Errors) > 0 {
		p := fault(http.StatusUnprocessableEntity, "the question is not valid: see errors")
		for _, err := range found.Errors {
			detail, ok := errors.AsType[*huma.ErrorDetail](err)
			if !ok {
				detail = &huma.ErrorDetail{Message: err.Error(), Location: where}
			}
			p.Errors = append(p.Errors, &huma.ErrorDetail{Message: detail.Message, Location: detail.Location}) // without the value
		}
		return nil, p
	}
	t := new(taskRequest)
	if err := json.Unmarshal(text, t); err != nil {
		return nil, fault(http.StatusUnprocessableEntity, "%s: %v", where, err)
	}
	return t, nil
}

func split(body []byte) (questions []json.RawMessage, array bool, err error) {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil, false, fault(http.StatusBadRequest, "the body is empty: send a question as JSON")
	case body[0] != '[':
		return []json.RawMessage{body}, false, nil
	}
	if err := json.Unmarshal(body, &questions); err != nil {
		return nil, true, fault(http.StatusBadRequest, "the body is not JSON: %v", err)
	}
	if n := len(questions); n == 0 || n > mostTasks {
		return nil, true, fault(http.StatusUnprocessableEntity, "%d questions, want 1 to %d: send more as a file to /api/v1/batches", n, mostTasks)
	}
	return questions, true, nil
}

// isJSON tells a media type that JSON may be sent as. curl -d says it is a form.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "", "application/json", "application/x-www-form-urlencoded":
		return true
	}
	return false
}
