package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/cozeq/cozeq/internal/queue"
)

// Coze's limits (POST /v3/chat; error codes 4000, 4003 and 4004).
const (
	maxMessages  = 100
	maxMetaPairs = 16
	maxMetaKey   = 64
	maxMetaValue = 512
	maxBody      = 15 << 20 // bytes of a request
)

// maxFields bounds the other fields in the queue, in bytes of JSON. asynq rewrites every active payload every 5 s.
const maxFields = 256 << 10

// Bounds of the tools that a question brings along, names and URLs in bytes.
const (
	maxTools    = 16
	maxToolName = 128
	maxToolURL  = 2048
)

// maxPayload bounds a payload, encrypted or not, in bytes. maxBody fits in as JSON and in base64.
const maxPayload = 32 << 20

// maxConversationKey bounds a conversation_key in bytes: it becomes part of a Redis key.
const maxConversationKey = 512

// InvalidError says which field of a task is invalid, and why. The producer has to fix it. A worker that gets such a task
// ends it as failed, class "invalid", without a call to Coze.
type InvalidError struct {
	Field  string
	Reason string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

// ErrDuplicate is returned by Enqueue for an id that is in the queue already or has a result.
var ErrDuplicate = queue.ErrDuplicate

func invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Validate checks the chat against Coze's documented limits. The error is an *InvalidError.
func (c *Chat) Validate() error {
	if c.Sealed != "" {
		return invalid("sealed", "encrypted, and cannot be looked at: open it first")
	}
	if c.Tenant != "" {
		if err := ValidateTenant(c.Tenant); err != nil {
			return err
		}
	}
	if c.IsWorkflow() {
		return c.validateWorkflow()
	}
	if c.IsChatflow() {
		if err := c.validateChatflow(); err != nil {
			return err
		}
	} else if c.AppID+c.WorkflowVersion+c.ConnectorID != "" || len(c.Ext) > 0 || c.Resume != nil || c.Chatflow {
		return invalid("workflow_id", "missing: app_id, workflow_version, connector_id, ext, resume and chatflow belong to a workflow's run")
	}
	n := len(c.AdditionalMessages)
	if n == 0 {
		return invalid("additional_messages", "empty: there is no question")
	}
	if n > maxMessages {
		return invalid("additional_messages", "%d messages, Coze takes at most %d", n, maxMessages)
	}
	size := 0
	for i := range c.AdditionalMessages {
		field := fmt.Sprintf("additional_messages[%d]", i)
		m := &c.AdditionalMessages[i]
		if err := m.validate(field); err != nil {
			return err
		}
		size += len(m.Content)
	}
	if size > maxBody {
		return invalid("additional_messages", "%d bytes of content, Coze takes at most %d", size, maxBody)
	}
	last := &c.AdditionalMessages[n-1]
	if last.Role != "user" {
		return invalid(fmt.Sprintf("additional_messages[%d].role", n-1), "%q, but the last message is the question and must be the user's", last.Role)
	}
	if len(last.MetaData) >= maxMetaPairs {
		return invalid(fmt.Sprintf("additional_messages[%d].meta_data", n-1), "%d pairs, at most %d as the task's id is added", len(last.MetaData), maxMetaPairs-1)
	}
	if c.ConversationID != "" && c.ConversationKey != "" {
		return invalid("conversation_key", "set together with conversation_id: give one of the two")
	}
	if len(c.ConversationKey) > maxConversationKey {
		return invalid("conversation_key", "%d bytes, at most %d", len(c.ConversationKey), maxConversationKey)
	}
	if !utf8.ValidString(c.ConversationKey) {
		return invalid("conversation_key", "not UTF-8")
	}
	switch c.OnTurnFailure {
	case "", TurnSkip, TurnBlock:
	default:
		return invalid("on_turn_failure", "%q, want %s or %s", c.OnTurnFailure, TurnSkip, TurnBlock)
	}
	if err := c.validateTools(); err != nil {
		return err
	}
	if size := c.fieldBytes(); size > maxFields {
		return invalid("payload", "custom_variables, parameters and extra_params are %d bytes, at most %d", size, maxFields)
	}
	return validateMeta("meta_data", c.MetaData)
}

// validateTools checks what there is without a look at the URLs, which is for those who may call them.
func (c *Chat) validateTools() error {
	if len(c.Tools) > maxTools {
		return invalid("tools", "%d tools, at most %d", len(c.Tools), maxTools)
	}
	if len(c.Tools) > 0 && c.AutoSaveHistory != nil && !*c.AutoSaveHistory {
		return invalid("tools", "set with auto_save_history false: Coze takes outputs of tools only for a chat whose history is saved")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Tools)) {
		if n := len(name); n < 1 || n > maxToolName || !utf8.ValidString(name) {
			return invalid("tools", "a name of %d bytes, want 1 to %d of UTF-8", n, maxToolName)
		}
		if n := len(c.Tools[name].URL); n < 1 || n > maxToolURL {
			return invalid("tools."+name+".url", "%d bytes, want 1 to %d", n, maxToolURL)
		}
	}
	return nil
}

// fieldBytes is about the size of the fields without a limit of their own.
func (c *Chat) fieldBytes() (n int) {
	for _, pairs := range []map[string]string{c.CustomVariables, c.ExtraParams} {
		for key, value := range pairs {
			n += len(key) + len(value)
		}
	}
	for key, value := range c.Parameters {
		n += len(key) + len(value)
	}
	return n
}

func (m *Message) validate(field string) error {
	if m.Role != "user" && m.Role != "assistant" {
		return invalid(field+".role", "%q, want user or assistant", m.Role)
	}
	switch m.Type {
	case "", "answer", "function_call", "tool_output", "tool_response":
	case "question":
		if m.Role != "user" {
			return invalid(field+".type", "question goes with role user only")
		}
	default:
		return invalid(field+".type", "%q, want question, answer, function_call, tool_output or tool_response", m.Type)
	}
	if m.Content == "" {
		return invalid(field+".content", "empty")
	}
	if !utf8.ValidString(m.Content) {
		return invalid(field+".content", "not UTF-8")
	}
	switch m.ContentType {
	case "", "text":
	case "object_string":
		if err := validateObjects(field+".content", m.Content); err != nil {
			return err
		}
	default:
		return invalid(field+".content_type", "%q, want text or object_string", m.ContentType)
	}
	return validateMeta(field+".meta_data", m.MetaData)
}

func validateObjects(field, content string) error {
	var objects []struct {
		Type    string `json:"type"`
		Text    string `json:"text"`
		FileID  string `json:"file_id"`
		FileURL string `json:"file_url"`
	}
	err := json.Unmarshal([]byte(content), &objects)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return invalid(field, "not a JSON array of objects, which object_string needs")
	}
	if err != nil {
		return invalid(field, "not a JSON array of objects, which object_string needs: %v", err)
	}
	if len(objects) == 0 {
		return invalid(field, "an empty array")
	}
	texts := 0
	for i, o := range objects {
		switch o.Type {
		case "text":
			texts++
		case "file", "image", "audio":
			if o.FileID == "" && o.FileURL == "" {
				return invalid(fmt.Sprintf("%s[%d]", field, i), "%s needs file_id or file_url", o.Type)
			}
		default:
			return invalid(fmt.Sprintf("%s[%d].type", field, i), "%q, want text, file, image or audio", o.Type)
		}
	}
	if texts > 1 {
		return invalid(field, "%d text items, at most one", texts)
	}
	if texts == len(objects) {
		return invalid(field, "a text item needs a file, image or audio beside it; plain text goes with content_type text")
	}
	return nil
}

func validateMeta(field string, meta map[string]string) error {
	if len(meta) > maxMetaPairs {
		return invalid(field, "%d pairs, Coze takes at most %d", len(meta), maxMetaPairs)
	}
	for key, value := range meta {
		if n := utf8.RuneCountInString(key); n < 1 || n > maxMetaKey {
			return invalid(field, "key %q has %d characters, want 1 to %d", key, n, maxMetaKey)
		}
		if n := utf8.RuneCountInString(value); n < 1 || n > maxMetaValue {
			return invalid(field+"."+key, "%d characters, want 1 to %d", n, maxMetaValue)
		}
	}
	return nil
}

var (
	idPattern    = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,200}$`)
	queuePattern = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`) // and of tenants
)

// ValidateID checks the id of a task: 1 to 200 letters, digits and . _ : - as it becomes part of Redis keys.
func ValidateID(id string) error {
	if !idPattern.MatchString(id) {
		return invalid("id", "%q, want 1 to 200 letters, digits or any of . _ : -", id)
	}
	return nil
}

// ValidateQueue checks the name of a queue: 1 to 64 lower-case letters, digits, _ and -
func ValidateQueue(name string) error {
	if !queuePattern.MatchString(name) {
		return invalid("queue", "%q, want 1 to 64 lower-case letters, digits, _ or -", name)
	}
	return nil
}

// ValidateTenant checks the name of a tenant: 1 to 64 lower-case letters, digits, _ and -
func ValidateTenant(name string) error {
	if !queuePattern.MatchString(name) {
		return invalid("tenant", "%q, want 1 to 64 lower-case letters, digits, _ or -", name)
	}
	return nil
}
