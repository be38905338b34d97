package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/tasks"
)

func (in *Input) jsonRows(content io.Reader, yield func(*Row, error) bool) {
	in.pieceRows(content, yield, in.parseObject)
}

// parseObject fills the row from a JSON object and returns all its errors.
func (in *Input) parseObject(line []byte, row *Row) (wrong []string) {
	if len(line) == 0 { // of an array: empty lines are skipped
		return []string{"no item: a comma too many"}
	}
	var fields map[string]json.RawMessage
	err := json.Unmarshal(line, &fields)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return []string{fmt.Sprintf("bad JSON at byte %d: %v", syntax.Offset, err)}
	}
	strict := in.options.Requests != nil
	if err != nil || fields == nil {
		if strict {
			return []string{fmt.Sprintf("want an object with %s, not %s", List(requestFields, ""), kind(line))}
		}
		what := fmt.Sprintf(`want an object, {"question": "..."}, not %s`, kind(line))
		if in.format == JSONL && kind(line) == "an array" {
			what += ": if the file is one array of objects, say --format json"
		}
		return []string{what}
	}
	if strict {
		return in.parseStrictly(fields, row)
	}
	fields, own := in.meantFields(fields)
	if _, there := fields[in.customIDCol()]; !there && in.options.CustomIDCol != "" {
		wrong = append(wrong, fmt.Sprintf("no %q, which --custom-id-col names", in.options.CustomIDCol))
	}
	switch {
	case isRequest(fields):
		return append(wrong, in.parseRequest(fields, row)...)
	case in.prompt != nil:
		return append(wrong, in.parseData(fields, own, row)...)
	}
	maps.DeleteFunc(fields, func(_ string, raw json.RawMessage) bool { return kind(raw) == kindNull })
	standIn, ambiguous := in.findStandIn(fields)
	misnamed := false // the question has an unknown name
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var err error
		switch {
		case name == standIn:
			row.standIn = ownName(own, name)
			err = in.setStandIn(row, name, fields[name])
		case in.standIn(name) && ambiguous != "":
		default:
			err = in.setMeant(row, name, fields[name])
		}
		if err != nil {
			wrong = append(wrong, err.Error())
			misnamed = misnamed || in.mayMeanQuestion(name, fields[name])
		}
	}
	_, question := fields[in.questionCol()]
	_, given := fields[fieldMessages]
	switch {
	case question && given:
		wrong = append(wrong, in.questionCol()+" and additional_messages: give one of the two")
	case ambiguous != "":
		wrong = append(wrong, ambiguous)
	case !question && !given && standIn == "" && !misnamed:
		wrong = append(wrong, "no question: give it as "+in.questionCol()+", or as additional_messages")
	}
	return wrong
}

// mayMeanQuestion reports whether an unknown field is probably the question: its name is nearly that, or near no other and
// it holds a text. Then the missing question is the same mistake and is not reported as well.
func (in *Input) mayMeanQuestion(name string, raw json.RawMessage) bool {
	if slices.Contains(knownFields, in.meant(name)) || in.meant(name) == "" {
		return false
	}
	switch usage.Nearest(name, knownFields) {
	case FieldQuestion, fieldMessages:
		return true
	case "":
		return kind(raw) == "a string"
	}
	return false
}

// findStandIn finds the field that is used as the question, "" = none. ambiguous says so if several could be.
func (in *Input) findStandIn(fields map[string]json.RawMessage) (name, ambiguous string) {
	for _, own := range []string{in.questionCol(), fieldMessages} {
		if _, there := fields[own]; there {
			return "", ""
		}
	}
	if _, there := fields[fieldChat]; there {
		return fieldChat, ""
	}
	var found []string
	for _, name := range standIns {
		if raw, there := fields[name]; there && in.standIn(name) && kind(raw) == "a string" {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return "", ""
	case 1:
		return found[0], ""
	}
	return "", bothMayBe(found)
}

// setStandIn uses a field as the question, or as its messages.
func (in *Input) setStandIn(row *Row, name string, raw json.RawMessage) (err error) {
	if name != fieldChat {
		if err = setField(row, FieldQuestion, raw); err != nil {
			err = fmt.Errorf("%s: %w", name, errEmpty)
		}
		return err
	}
	// Coze's messages have fields that those of OpenAI lack.
	if row.Chat.AdditionalMessages, err = messagesOf(raw); err != nil || !slices.ContainsFunc(row.Chat.AdditionalMessages, isCozes) {
		err = in.setAsked(row, name, raw, nil)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func isCozes(m tasks.Message) bool { return m.Type != "" || m.ContentType != "" || m.MetaData != nil }

// meant is the field that a key stands for; "" if another key was given for it.
func (in *Input) meant(name string) string {
	switch name {
	case in.questionCol():
		return FieldQuestion
	case in.customIDCol():
		return FieldCustomID
	case FieldQuestion, FieldCustomID:
		return ""
	}
	return name
}

// setMeant sets the field that a key stands for.
func (in *Input) setMeant(row *Row, name string, raw json.RawMessage) error {
	meant := in.meant(name)
	if meant == "" {
		return fmt.Errorf("%s: has another name in this file, by --question-col or --custom-id-col", name)
	}
	return setField(row, meant, raw)
}

// parseData makes the question of a row's fields with the prompt. Fields without a meaning are data and are passed through.
func (in *Input) parseData(fields map[string]json.RawMessage, own map[string]string, row *Row) (wrong []string) {
	if _, there := fields[fieldMessages]; there {
		return []string{"additional_messages and a prompt: give one of the two"}
	}
	if what := in.prompt.missing(slices.Sorted(maps.Keys(fields))); what != "" {
		return []string{what}
	}
	row.carried = make(map[string]json.RawMessage)
	data := make(map[string]any, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		raw := fields[name]
		data[name] = valueOf(raw)
		meant := in.meant(name)
		switch {
		case meant == "" || meant == FieldQuestion || !slices.Contains(knownFields, meant):
			row.carried[ownName(own, name)] = raw
		case kind(raw) != kindNull:
			if err := setField(row, meant, raw); err != nil {
				wrong = append(wrong, err.Error())
			}
		}
	}
	question, err := in.prompt.fill(data)
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	row.question = &question
	return wrong
}

// valueOf is a field for a template: numbers as they are written, null as "".
func valueOf(raw json.RawMessage) any {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var value any
	_ = dec.Decode(&value) // the line is valid JSON
	if value == nil {
		return ""
	}
	return value
}

// setField sets one field of the row from its JSON, which is not null.
func setField(row *Row, name string, raw json.RawMessage) error {
	chat := row.Chat
	var err error
	switch name {
	case FieldCustomID:
		if kind(raw) == kindNumber {
			row.CustomID = string(raw)
			return nil
		}
		row.CustomID, err = stringOf(raw)
		if err != nil {
			err = fmt.Errorf("want a string or a number, not %s", kind(raw))
		}
	case FieldQuestion:
		var question string
		question, err = stringOf(raw)
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

func kind(raw []byte) string { return messages.Kind(raw) }

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
	var all []tasks.Message
	err := dec.Decode(&all)
	if err == nil {
		return all, nil
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
