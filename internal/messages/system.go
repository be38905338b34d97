package messages

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/cozeq/cozeq/tasks"
)

// What may happen to system messages, as Coze has none.
const (
	Refuse  = "refuse"  // the request is wrong
	Prepend = "prepend" // its text is put before the first user message
	Drop    = "drop"    // it is left out: the bot has its own
)

// SystemError is a system message that no setting allows.
type SystemError struct {
	What string // system messages, developer messages or instructions
}

func (e *SystemError) Error() string {
	return "Coze has no " + e.What + ": put its text into the bot's own prompt and say --system " + Drop +
		", or have it before the question with --system " + Prepend
}

func (r *Reader) allowSystem(what string) error {
	if r.System == Prepend || r.System == Drop {
		return nil
	}
	return &SystemError{what}
}

// prepend puts the system's texts before the first user message, with an empty line between.
func prepend(before []string, messages []tasks.Message) error {
	if len(before) == 0 {
		return nil
	}
	for i := range messages {
		m := &messages[i]
		if m.Role != User {
			continue
		}
		text := strings.Join(append(before, Text(m)), "\n\n")
		if m.ContentType == "text" {
			m.Content = text
			return nil
		}
		var objects []object
		if err := json.Unmarshal([]byte(m.Content), &objects); err != nil {
			return err
		}
		objects[0].Text = text
		raw, err := Encode(objects)
		m.Content = string(raw)
		return err
	}
	return errors.New("no message of the user that the system's could go before")
}
