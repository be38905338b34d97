package input

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// standIns are other tools' names for the question. If a row has no question and exactly one of these, that is used.
var standIns = []string{"prompt", "input", "query"}

// fieldChat holds the messages in data sets for OpenAI's models, in the format of a request to its API.
const fieldChat = "messages"

// names says which columns and fields mean what.
type names struct {
	question, customID string // the names of those with the question and the custom_id
	questionNamed      bool   // by an option: nothing else may stand in for it
	idNamed            bool   // by an option: it must be there
	prompt             *prompt
	run                bool       // rows are runs of a workflow and have no question
	params             []runParam // those that an option names
	known              []string   // all names that have a meaning
}

func newNames(o *Options) (*names, error) {
	n := &names{
		question: cmp.Or(o.QuestionCol, FieldQuestion), questionNamed: o.QuestionCol != "",
		customID: cmp.Or(o.CustomIDCol, FieldCustomID), idNamed: o.CustomIDCol != "",
	}
	if o.Prompt != "" {
		var err error
		if n.prompt, err = newPrompt(o.Prompt); err != nil {
			return nil, err
		}
	}
	if o.Workflow != nil {
		var err error
		if n.params, err = o.Workflow.params(); err != nil {
			return nil, err
		}
		n.run = true
	}
	n.known = n.knownNames()
	return n, nil
}

// standIn reports whether a column or field may stand in for the question that a row lacks.
func (n *names) standIn(name string) bool {
	return !n.run && n.prompt == nil && !n.questionNamed && slices.Contains(standIns, name)
}

func (n *names) needed() (all []string) {
	switch {
	case n.run:
		for _, p := range n.params {
			all = append(all, p.from)
		}
	case n.prompt != nil:
		all = append(all, n.prompt.names...)
	default:
		all = append(all, n.question)
	}
	if n.idNamed {
		all = append(all, n.customID)
	}
	return all
}

// meant is the field that a key stands for; "" if another key was given for it.
func (n *names) meant(name string) string {
	switch name {
	case n.question:
		return FieldQuestion
	case n.customID:
		return FieldCustomID
	case FieldQuestion, FieldCustomID:
		return ""
	}
	return name
}

// bothMayBe says why none of several names is used as the question.
func bothMayBe(names []string) string {
	return fmt.Sprintf("no question: %s may each be it: name the one with --question-col", quoted(names))
}

func (n *names) knownNames() []string {
	if n.run {
		return []string{n.customID, fieldUserID}
	}
	all := append([]string{n.question, n.customID}, tableFields...)
	if n.prompt != nil {
		return append(all, n.prompt.names...)
	}
	all = append(all, fieldMessages, fieldChat, "body", "method", "url")
	return append(all, standIns...)
}

// meantNames returns for each name the known one that it stands for: itself, or the one that differs only in case and
// surrounding blanks. If two names differ so from a known one, or that is there itself, none stands for it.
func meantNames(names, known []string) []string {
	meant := slices.Clone(names)
	for i, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		at := slices.IndexFunc(known, func(k string) bool { return sameName(name, k) })
		if at < 0 || slices.Contains(names, known[at]) {
			continue
		}
		if !slices.ContainsFunc(slices.Delete(slices.Clone(names), i, i+1), func(other string) bool { return sameName(other, known[at]) }) {
			meant[i] = known[at]
		}
	}
	return meant
}

func sameName(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }

// meantFields renames fields to the names that they stand for. own has the original names of those that changed.
func (n *names) meantFields(fields map[string]json.RawMessage) (meant map[string]json.RawMessage, own map[string]string) {
	plain := true
	for name := range fields {
		plain = plain && slices.Contains(n.known, name)
	}
	if plain {
		return fields, nil
	}
	names := slices.Sorted(maps.Keys(fields))
	meant, own = make(map[string]json.RawMessage, len(fields)), make(map[string]string)
	for i, name := range meantNames(names, n.known) {
		meant[name] = fields[names[i]]
		if name != names[i] {
			own[name] = names[i]
		}
	}
	return meant, own
}

func ownName(own map[string]string, name string) string {
	if there, ok := own[name]; ok {
		return there
	}
	return name
}

func (n *names) parseLine(line []byte, row *Row) []string {
	question := string(line)
	if n.prompt != nil {
		if what := n.prompt.missing([]string{FieldQuestion}); what != "" {
			return []string{what + " in a .txt"}
		}
		var err error
		if question, err = n.prompt.fill(map[string]any{FieldQuestion: question}); err != nil {
			return []string{err.Error()}
		}
	}
	row.question = &question
	return nil
}
