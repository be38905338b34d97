package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// The two APIs, by their paths.
const (
	ChatAPI      = "/v1/chat/completions"
	ResponsesAPI = "/v1/responses"
)

// Decoder makes tasks of requests. It is safe for concurrent use.
type Decoder struct {
	Models Models

	// System says what happens to system and developer messages, which Coze does not have: messages.Prepend, messages.Drop
	// or messages.Refuse. Empty: messages.Prepend.
	System string

	// Upload uploads content that came as data with the credential of this name, "" for the default one, and returns its id
	// at Coze: see attachment.Uploader for its errors. nil: such content is refused.
	Upload func(ctx context.Context, credential, name string, content []byte) (id string, err error)
}

// Ask is a request as the queue gets it.
type Ask struct {
	Chat    *tasks.Chat
	Options tasks.Options
	Echo    Echo

	Stream       bool
	IncludeUsage bool // a stream ends with the usage
	WaitForEnd   bool // a stream sends nothing that may be taken back
}

// Echo is what a reply repeats of its request.
type Echo struct {
	API          string            `json:"api"`
	Model        string            `json:"model"`
	Metadata     map[string]string `json:"metadata,omitempty"`
	Previous     string            `json:"previous_response_id,omitempty"`
	Conversation string            `json:"conversation,omitempty"`
	Background   bool              `json:"background,omitempty"`
	Store        *bool             `json:"store,omitempty"`
}

func (e *Echo) kept() bool { return e.Store == nil || *e.Store }

// outlives reports whether the task goes on if its client hangs up: it is to be retrieved.
func (e *Echo) outlives() bool { return e.Background || e.Store != nil && *e.Store }

// unstoredKeep is how long the result of a request with store false is kept: a retry of the request has to find it.
const unstoredKeep = tasks.DefaultTimeout

// Decode makes a task of the body of a request to one of the two APIs. Errors are *Error, and *tasks.InvalidError for what
// Coze's limits forbid.
func (d *Decoder) Decode(ctx context.Context, api string, body []byte) (*Ask, error) {
	if !utf8.Valid(body) {
		return nil, Bad("", "invalid_json", "the body is not UTF-8")
	}
	var fields map[string]json.RawMessage
	err := json.Unmarshal(body, &fields)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, Bad("", "invalid_json", "the body is no JSON at byte %d: %v", syntax.Offset, err)
	}
	if err != nil || fields == nil {
		return nil, Bad("", "invalid_json", "the body is %s, want an object", messages.Kind(body))
	}
	a := &Ask{Chat: new(tasks.Chat), Echo: Echo{API: api}}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		raw := fields[name]
		switch {
		case messages.Kind(raw) == "null":
		case slices.Contains(own[api], name), slices.Contains(extensions, name):
			err = a.set(name, raw)
		default:
			err = checkName(api, name, raw)
		}
		if err != nil {
			return nil, err
		}
	}
	if a.Chat.BotID, err = d.Models.Bot(ctx, a.Echo.Model); err != nil {
		return nil, err
	}
	if err := d.setMessages(ctx, a, fields); err != nil {
		return nil, err
	}
	if err := a.complete(); err != nil {
		return nil, err
	}
	return a, nil
}

// decodeInto decodes a parameter, and says what kind of value it is instead.
func decodeInto(name string, raw json.RawMessage, v any, want string) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return Bad(name, "invalid_type", "want %s, not %s", want, messages.Kind(raw))
	}
	return nil
}

// target is where a parameter goes, and what it has to be.
type target struct {
	to   any
	want string
}

const (
	aString  = "a string"
	aSwitch  = "true or false"
	ofTexts  = "an object of strings"
	anObject = "an object"
)

// targets are the parameters that are taken as they are. Of user and safety_identifier user comes later and decides.
func (a *Ask) targets() map[string]target {
	e, c := &a.Echo, a.Chat
	return map[string]target{
		"model": {&e.Model, aString}, "stream": {&a.Stream, aSwitch}, "user": {&c.UserID, aString}, "safety_identifier": {&c.UserID, aString},
		"metadata": {&e.Metadata, ofTexts}, "store": {&e.Store, aSwitch}, "background": {&e.Background, aSwitch},
		"previous_response_id": {&e.Previous, aString},

		"conversation_key": {&c.ConversationKey, aString}, "conversation_id": {&c.ConversationID, aString},
		"custom_variables": {&c.CustomVariables, ofTexts}, "parameters": {&c.Parameters, anObject}, "extra_params": {&c.ExtraParams, ofTexts},
		"auto_save_history": {&c.AutoSaveHistory, aSwitch}, "on_turn_failure": {&c.OnTurnFailure, aString},
		"queue": {&a.Options.Queue, aString}, "expires_at": {&c.ExpiresAt, "a time as 2026-12-31T23:59:59Z"},
	}
}

// set sets a parameter of OpenAI's, or of cozeq's.
func (a *Ask) set(name string, raw json.RawMessage) (err error) {
	if t, ok := a.targets()[name]; ok {
		if name == "conversation_key" && a.Echo.Conversation != "" {
			return Bad(name, "invalid_value", "set together with conversation: give one of the two")
		}
		err = decodeInto(name, raw, t.to, t.want)
		a.Chat.Stream, a.Chat.MetaData = a.Stream, a.Echo.Metadata
		return err
	}
	switch name {
	case "stream_options":
		var o struct {
			IncludeUsage bool `json:"include_usage"`
		}
		err = decodeInto(name, raw, &o, anObject)
		a.IncludeUsage = o.IncludeUsage
	case "conversation":
		const want = `a string, or {"id"}`
		if messages.Kind(raw) == anObject {
			var o struct {
				ID string `json:"id"`
			}
			err = decodeInto(name, raw, &o, want)
			a.Echo.Conversation = o.ID
		} else {
			err = decodeInto(name, raw, &a.Echo.Conversation, want)
		}
		a.Chat.ConversationKey = a.Echo.Conversation
	case "cozeq":
		var o struct {
			OnReset string `json:"on_reset"`
		}
		err = decodeInto(name, raw, &o, `an object as {"on_reset": "error"}`)
		if a.WaitForEnd = o.OnReset == "wait"; err == nil && !slices.Contains([]string{"", "error", "wait"}, o.OnReset) {
			err = Bad("cozeq.on_reset", "invalid_value", "%.60q, want error or wait", o.OnReset)
		}
	}
	return err
}

func (d *Decoder) setMessages(ctx context.Context, a *Ask, fields map[string]json.RawMessage) (err error) {
	name, instructions := "messages", json.RawMessage(nil)
	if a.Echo.API == ResponsesAPI {
		name, instructions = "input", fields["instructions"]
		if messages.Nothing(instructions) {
			instructions = nil
		}
	}
	raw, there := fields[name]
	if !there || messages.Kind(raw) == "null" {
		return Bad(name, "missing_required_parameter", "missing: there is no question")
	}
	reader := messages.Reader{System: cmp.Or(d.System, messages.Prepend), Unsupported: func(i int, field string) {
		switch {
		case err != nil || field == "name" || field == "refusal" || field == "annotations" || field == "reasoning_content":
		case field == "":
			err = Bad(name, "invalid_value", "the last message is an answer, but a bot does not go on with an answer: end with a message of the user")
		default:
			err = Bad(fmt.Sprintf("%s[%d].%s", name, i, field), "unsupported_parameter", "a bot cannot be asked for it")
		}
	}}
	if d.Upload != nil {
		reader.Upload = func(name string, content []byte) (string, error) {
			credential := ""
			if key := apikey.FromContext(ctx); key != nil {
				credential = key.Credential
			}
			return d.Upload(ctx, credential, name, content)
		}
	}
	all, read := reader.Read(raw, instructions, a.Echo.API == ResponsesAPI)
	if err != nil {
		return err
	}
	if read != nil {
		return messageError(name, read)
	}
	if a.Echo.API == ChatAPI && (a.Chat.ConversationID != "" || a.Chat.ConversationKey != "") {
		all = lastTurn(all)
	}
	a.Chat.AdditionalMessages = all
	return nil
}

// lastTurn is what comes behind the last answer: the conversation at Coze has what is before it.
func lastTurn(all []tasks.Message) []tasks.Message {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Role == messages.Assistant {
			return all[i+1:]
		}
	}
	return all
}

// messageError names the parameter of an error as OpenAI does: messages[0].content[1].
func messageError(name string, err error) error {
	if e, ok := errors.AsType[*coze.Error](err); ok && !errors.As(err, new(*attachment.FileError)) {
		return failed(&results.Failure{Class: string(e.Class), Code: e.Code, Message: "upload: " + e.Message, Hint: e.Hint(), LogID: e.LogID})
	}
	if e, ok := errors.AsType[*submit.UnavailableError](submit.Unavailable(err)); ok {
		return e
	}
	message := err.Error()
	e, ok := errors.AsType[*messages.Error](err)
	if ok {
		message = e.Err.Error()
		for _, step := range e.Path {
			switch {
			case strings.HasPrefix(step, "["):
				name += step
			case step == "instructions":
				name = step
			default:
				name += "." + step
			}
		}
	}
	if s, ok := errors.AsType[*messages.SystemError](err); ok {
		message = "Coze has no " + s.What + ", and this server refuses them: put its text into the bot's own prompt, or start the server with " +
			"--system drop or --system prepend"
	}
	return Bad(name, "invalid_value", "%s", message)
}

// complete applies what follows from several parameters and checks the task.
func (a *Ask) complete() error {
	e := &a.Echo
	if !e.kept() {
		if e.Background {
			return Bad("store", "invalid_value", "false, but a response in the background has to be stored: it is retrieved later")
		}
		a.Options.Keep = unstoredKeep
	}
	if e.Previous != "" && (a.Chat.ConversationKey != "" || a.Chat.ConversationID != "") {
		return Bad("previous_response_id", "invalid_value", "set together with a conversation: give one of the two")
	}
	if e.Background { // it may be streamed later
		a.Chat.Stream = true
	}
	if !a.Chat.ExpiresAt.IsZero() && !a.Chat.ExpiresAt.After(time.Now()) {
		return Bad("expires_at", "invalid_value", "in the past")
	}
	if err := a.Chat.Validate(); err != nil {
		return errorFor(e.API, err)
	}
	if err := a.Options.Validate(); err != nil {
		return errorFor(e.API, err)
	}
	return nil
}

// errorFor is errorOf, with the name that the API has for the messages.
func errorFor(api string, err error) *Error {
	e := errorOf(err)
	if e.Param == "messages" && api == ResponsesAPI {
		e.Param = "input"
	}
	return e
}
