package batch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/cozeq/cozeq/tasks"
)

func (in *Input) jsonlRows(content io.Reader, yield func(*Row, error) bool) {
	in.lineRows(content, yield, parseObject)
}

// parseObject fills the row from a line of JSON and returns everything that is wrong with it.
func parseObject(line []byte, row *Row) (wrong []string) {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(line, &fields)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return []string{fmt.Sprintf("bad JSON at byte %d: %v", syntax.Offset, err)}
	}
	if err != nil || fields == nil {
		return []string{fmt.Sprintf(`want an object, {"question": "..."}, not %s`, kind(line))}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if raw := fields[name]; kind(raw) == kindNull {
			delete(fields, name)
		} else if err := setField(row, name, raw); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	_, question := fields[fieldQuestion]
	_, messages := fields[fieldMessages]
	switch {
	case question && messages:
		wrong = append(wrong, "question and additional_messages: give one of the two")
	case !question && !messages:
		wrong = append(wrong, "no question: give it as question, or as additional_messages")
	}
	return wrong
}

// setField sets one field of the row from its JSON, which is not null.
func setField(row *Row, name string, raw json.RawMessage) error {
	chat := row.Chat
	var err error
	switch name {
	case fieldCustomID:
		if kind(raw) == kindNumber {
			row.CustomID = string(raw)
			return nil
		}
		row.CustomID, err = stringOf(raw)
		if err != nil {
			err = fmt.Errorf("want a string or a number, not %s", kind(raw))
		}
	case fieldQuestion:
		var question string
		question, err = stringOf(raw)
		if err == nil && blank(question) {
			err = errEmpty
		}
		chat.AdditionalMessages = []tasks.Message{tasks.Question(question)}
	case fieldMessages:
		chat.AdditionalMessages, err = messagesOf(raw)
	case fieldBotID:
		chat.BotID, err = stringOf(raw)
	case fieldUserID:
		chat.UserID, err = stringOf(raw)
	case fieldConversationID:
		chat.ConversationID, err = stringOf(raw)
	case fieldConversationKey:
		chat.ConversationKey, err = stringOf(raw)
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

func unknownField(name string) error {
	known := list(knownFields, "")
	if near := nearest(name, knownFields); near != "" {
		return fmt.Errorf("unknown field %q: did you mean %s? (known are %s)", name, near, known)
	}
	return fmt.Errorf("unknown field %q: known are %s", name, known)
}

// What a piece of JSON is, for people.
const (
	kindNull   = "null"
	kindNumber = "a number"
)

func kind(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return kindNull
	}
	return kindNumber
}

func stringOf(raw json.RawMessage) (string, error) {
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", fmt.Errorf("want a string, not %s", kind(raw))
	}
	return *s, nil
}

func objectOf(raw json.RawMessage, want string) (map[string]json.RawMessage, error) {
	var values map[string]json.RawMessage
	err := json.Unmarshal(raw, &values)
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, fmt.Errorf("want %s as JSON: %w", want, err)
	}
	if err != nil || values == nil {
		return nil, fmt.Errorf("want %s, not %s", want, kind(raw))
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
		s, err := stringOf(values[name])
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
	var messages []tasks.Message
	err := dec.Decode(&messages)
	if err == nil {
		return messages, nil
	}
	const want = "want an array of {role, type, content, content_type, meta_data}"
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return nil, fmt.Errorf("%s, but %s is of type %s", want, wrong.Field, wrong.Value)
	}
	if kind(raw) != "an array" {
		return nil, fmt.Errorf("%s, not %s", want, kind(raw))
	}
	return nil, fmt.Errorf("%s: %w", want, err)
}
