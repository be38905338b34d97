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

type objects struct {
	format Format
	names  *names
	openAI openAI
	strict *Requests // the rules for rows that must be requests; nil: they may have any format
}

func (o *objects) parse(line []byte, row *Row) (wrong []string) {
	if len(line) == 0 { // of an array: empty lines are skipped
		return []string{"no item: a comma too many"}
	}
	var fields map[string]json.RawMessage
	err := json.Unmarshal(line, &fields)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return []string{fmt.Sprintf("bad JSON at byte %d: %v", syntax.Offset, err)}
	}
	if err != nil || fields == nil {
		if o.strict != nil {
			return []string{fmt.Sprintf("want an object with %s, not %s", List(requestFields, ""), messages.Kind(line))}
		}
		what := fmt.Sprintf(`want an object, {"question": "..."}, not %s`, messages.Kind(line))
		if o.format == JSONL && messages.Kind(line) == "an array" {
			what += ": if the file is one array of objects, say --format json"
		}
		return []string{what}
	}
	if o.strict != nil {
		return o.strict.parse(fields, row)
	}
	fields, own := o.names.meantFields(fields)
	if _, there := fields[o.names.customID]; !there && o.names.idNamed {
		wrong = append(wrong, fmt.Sprintf("no %q, which --custom-id-col names", o.names.customID))
	}
	switch {
	case o.names.run:
		return append(wrong, o.parseRun(fields, own, row)...)
	case isRequest(fields):
		return append(wrong, o.openAI.parse(fields, row)...)
	case o.names.prompt != nil:
		return append(wrong, o.parseData(fields, own, row)...)
	}
	maps.DeleteFunc(fields, func(_ string, raw json.RawMessage) bool { return messages.Kind(raw) == kindNull })
	standIn, ambiguous := o.findStandIn(fields)
	misnamed := false // the question has an unknown name
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var err error
		switch {
		case name == standIn:
			row.standIn = ownName(own, name)
			err = o.setStandIn(row, name, fields[name])
		case o.names.standIn(name) && ambiguous != "":
		default:
			err = o.names.setField(row, name, fields[name])
		}
		if err != nil {
			wrong = append(wrong, err.Error())
			misnamed = misnamed || o.mayMeanQuestion(name, fields[name])
		}
	}
	_, question := fields[o.names.question]
	_, given := fields[fieldMessages]
	switch {
	case question && given:
		wrong = append(wrong, o.names.question+" and additional_messages: give one of the two")
	case ambiguous != "":
		wrong = append(wrong, ambiguous)
	case !question && !given && standIn == "" && !misnamed:
		wrong = append(wrong, "no question: give it as "+o.names.question+", or as additional_messages")
	}
	return wrong
}

// mayMeanQuestion reports whether an unknown field is probably the question: its name is nearly that, or near no other and
// it holds a text. Then the missing question is the same mistake and is not reported as well.
func (o *objects) mayMeanQuestion(name string, raw json.RawMessage) bool {
	if slices.Contains(knownFields, o.names.meant(name)) || o.names.meant(name) == "" {
		return false
	}
	switch usage.Nearest(name, knownFields) {
	case FieldQuestion, fieldMessages:
		return true
	case "":
		return messages.Kind(raw) == "a string"
	}
	return false
}

// findStandIn finds the field that is used as the question, "" = none. ambiguous says so if several could be.
func (o *objects) findStandIn(fields map[string]json.RawMessage) (name, ambiguous string) {
	for _, own := range []string{o.names.question, fieldMessages} {
		if _, there := fields[own]; there {
			return "", ""
		}
	}
	if _, there := fields[fieldChat]; there {
		return fieldChat, ""
	}
	var found []string
	for _, name := range standIns {
		if raw, there := fields[name]; there && o.names.standIn(name) && messages.Kind(raw) == "a string" {
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

func (o *objects) setStandIn(row *Row, name string, raw json.RawMessage) (err error) {
	if name != fieldChat {
		if err = setField(row, FieldQuestion, raw); err != nil {
			err = fmt.Errorf("%s: %w", name, errEmpty)
		}
		return err
	}
	// Coze's messages have fields that those of OpenAI lack.
	if row.Chat.AdditionalMessages, err = messagesOf(raw); err != nil || !slices.ContainsFunc(row.Chat.AdditionalMessages, isCozes) {
		err = o.openAI.setAsked(row, name, raw, nil)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func isCozes(m tasks.Message) bool { return m.Type != "" || m.ContentType != "" || m.MetaData != nil }

// parseData makes the question of a row's fields with the prompt. Fields without a meaning are data and are passed through.
func (o *objects) parseData(fields map[string]json.RawMessage, own map[string]string, row *Row) (wrong []string) {
	if _, there := fields[fieldMessages]; there {
		return []string{"additional_messages and a prompt: give one of the two"}
	}
	if what := o.names.prompt.missing(slices.Sorted(maps.Keys(fields))); what != "" {
		return []string{what}
	}
	row.carried = make(map[string]json.RawMessage)
	data := make(map[string]any, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		raw := fields[name]
		data[name] = valueOf(raw)
		meant := o.names.meant(name)
		switch {
		case meant == "" || meant == FieldQuestion || !slices.Contains(knownFields, meant):
			row.carried[ownName(own, name)] = raw
		case messages.Kind(raw) != kindNull:
			if err := setField(row, meant, raw); err != nil {
				wrong = append(wrong, err.Error())
			}
		}
	}
	question, err := o.names.prompt.fill(data)
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
