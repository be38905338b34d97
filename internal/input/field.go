package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/tasks"
)

func (n *names) setField(row *Row, name string, raw json.RawMessage) error {
	meant := n.meant(name)
	if meant == "" {
		return fmt.Errorf("%s: has another name in this file, by --question-col or --custom-id-col", name)
	}
	return setField(row, meant, raw)
}

// setField sets one field of the row from its JSON, which is not null.
func setField(row *Row, name string, raw json.RawMessage) error {
	chat := row.Chat
	var err error
	switch name {
	case FieldCustomID:
		if messages.Kind(raw) == kindNumber {
			row.CustomID = string(raw)
			return nil
		}
		row.CustomID, err = messages.StringOf(raw)
		if err != nil {
			err = fmt.Errorf("want a string or a number, not %s", messages.Kind(raw))
		}
	case FieldQuestion:
		var question string
		question, err = messages.StringOf(raw)
		if err == nil && Blank(question) {
			err = errEmpty
		}
		row.question = &question
	case fieldMessages:
		chat.AdditionalMessages, err = messagesOf(raw)
	case fieldFileURL, fieldFileID, fieldImageURL, fieldImageID, fieldFile, fieldImage:
		var some []attachment
		some, err = attachmentsOf(name, raw)
		row.attachments = append(row.attachments, some...)
	case fieldBotID:
		chat.BotID, err = messages.StringOf(raw)
	case fieldUserID:
		chat.UserID, err = messages.StringOf(raw)
	case fieldConversationID:
		chat.ConversationID, err = messages.StringOf(raw)
	case fieldConversationKey:
		chat.ConversationKey, err = messages.StringOf(raw)
	case fieldCustomVariables:
		chat.CustomVariables, err = stringsOf(raw)
	case fieldMetaData:
		chat.MetaData, err = stringsOf(raw)
	case fieldParameters:
		chat.Parameters, err = objectOf(raw, "an object")
	default:
		return unknownField(name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

var errEmpty = errors.New("empty")

// unknownFieldIs begins the message of an unknown field.
const unknownFieldIs = "unknown field "

func unknownField(name string) error {
	known := List(knownFields, "")
	if near := usage.Nearest(name, knownFields); near != "" {
		return fmt.Errorf(unknownFieldIs+"%q: did you mean %s? (known are %s)", name, near, known)
	}
	return fmt.Errorf(unknownFieldIs+"%q: known are %s; with a --prompt, as '{{.question}}', others are carried through", name, known)
}

// The kinds of JSON values, for people.
const (
	kindNull   = "null"
	kindNumber = "a number"
)

func objectOf(raw json.RawMessage, want string) (map[string]json.RawMessage, error) {
	var values map[string]json.RawMessage
	err := json.Unmarshal(raw, &values)
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, fmt.Errorf("want %s as JSON: %w", want, err)
	}
	if err != nil || values == nil {
		return nil, fmt.Errorf("want %s, not %s", want, messages.Kind(raw))
	}
	return values, nil
}

func stringsOf(raw json.RawMessage) (map[string]string, error) {
	values, err := objectOf(raw, "an object of strings")
	if err != nil {
		return nil, err
	}
	pairs := make(map[string]string, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		s, err := messages.StringOf(values[name])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		pairs[name] = s
	}
	return pairs, nil
}

func messagesOf(raw json.RawMessage) ([]tasks.Message, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var all []tasks.Message
	err := dec.Decode(&all)
	if err == nil {
		return all, nil
	}
	const want = "want an array of {role, type, content, content_type, meta_data}"
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return nil, fmt.Errorf("%s, but %s is of type %s", want, wrong.Field, wrong.Value)
	}
	if messages.Kind(raw) != "an array" {
		return nil, fmt.Errorf("%s, not %s", want, messages.Kind(raw))
	}
	return nil, fmt.Errorf("%s: %w", want, err)
}
