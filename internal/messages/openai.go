package messages

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/cozeq/cozeq/tasks"
)

// The roles of messages.
const (
	User      = "user"
	Assistant = "assistant"
	system    = "system"
)

// Error says which part of the messages is wrong. Path leads to it: "[0]", "content", "[1]".
type Error struct {
	Path []string
	Err  error
}

func (e *Error) Error() string {
	text := ""
	for _, step := range e.Path {
		text += step + ": "
	}
	return text + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

func at(step string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Path: append([]string{step}, e.Path...), Err: e.Err}
	}
	return &Error{Path: []string{step}, Err: err}
}

// Reader makes Coze's messages of those of OpenAI's APIs.
type Reader struct {
	// System says what happens to system and developer messages: Drop, Prepend or anything else, which refuses them.
	System string

	// Unsupported hears of what a bot cannot be asked for and what is left out if the call goes on: a field of the i-th
	// message, or with field "" an answer behind the question.
	Unsupported func(i int, field string)

	// Upload uploads content that came as data, under a name with its extension, and returns its id. nil: such content is
	// refused. Its error is one of that content if it is an *attachment.FileError.
	Upload func(name string, content []byte) (id string, err error)
}

// Read makes messages of a JSON array of them. Instructions, nil if there are none, are a system message before it. If text
// is true a string is a question, too. Errors about one message are *Error.
func (r *Reader) Read(raw, instructions json.RawMessage, text bool) ([]tasks.Message, error) {
	var before []string // texts of the system
	if instructions != nil {
		s, err := StringOf(instructions)
		if err == nil {
			err = r.allowSystem("instructions")
		}
		if err != nil {
			return nil, at("instructions", err)
		}
		before = append(before, s)
	}
	var messages []tasks.Message
	if question, err := StringOf(raw); err == nil && text {
		messages = []tasks.Message{tasks.Question(question)}
	} else if messages, before, err = r.list(raw, before); err != nil {
		return nil, err
	}
	if r.System != Prepend {
		return messages, nil
	}
	return messages, prepend(before, messages)
}

// list converts an array. The texts of system messages are appended to before instead.
func (r *Reader) list(raw json.RawMessage, before []string) ([]tasks.Message, []string, error) {
	var all []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, nil, fmt.Errorf("want an array of {role, content}, not %s", Kind(raw))
	}
	var messages []tasks.Message
	for i, fields := range all {
		if item, _ := StringOf(fields["type"]); item == "reasoning" { // of an earlier response; a bot does not read it
			continue
		}
		m, err := r.message(i, fields)
		if err != nil {
			return nil, nil, at("["+strconv.Itoa(i)+"]", err)
		}
		if m.Role == system {
			before = append(before, m.Content)
		} else {
			messages = append(messages, m)
		}
	}
	// A data set ends with the expected answer.
	for n := len(messages); n > 1 && messages[n-1].Role == Assistant; n-- {
		r.Unsupported(len(all)-1, "")
		messages = messages[:n-1]
	}
	if len(messages) == 0 {
		return nil, nil, errors.New("there is no question in it")
	}
	return messages, before, nil
}

func (r *Reader) message(i int, fields map[string]json.RawMessage) (m tasks.Message, err error) {
	item, _ := StringOf(fields["type"])
	if item != "" && item != "message" {
		return m, at("type", fmt.Errorf("%q, want message", item))
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		switch {
		case key == "role", key == "content", Nothing(fields[key]):
		case item == "message" && (key == "type" || key == "id" || key == "status"): // an item of a response
		default:
			r.Unsupported(i, key)
		}
	}
	role, err := StringOf(fields["role"])
	if err != nil {
		return m, at("role", err)
	}
	switch role {
	case User:
		m.Role, m.Type = User, "question"
	case Assistant:
		m.Role, m.Type = Assistant, "answer"
	case system, "developer":
		if err := r.allowSystem(role + " messages"); err != nil {
			return m, at("role", err)
		}
		m.Role = system
	default:
		return m, at("role", fmt.Errorf("%q, want %s or %s", role, User, Assistant))
	}
	m.Content, m.ContentType, err = r.content(fields["content"])
	if err != nil {
		return m, at("content", err)
	}
	if m.ContentType != "text" && m.Role != User {
		return m, at("content", fmt.Errorf("a picture in a message of %s", m.Role))
	}
	return m, nil
}
