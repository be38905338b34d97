package input

import (
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

// standIn reports whether a column or field may stand in for the question that a row lacks.
func (in *Input) standIn(name string) bool {
	return in.prompt == nil && in.options.QuestionCol == "" && slices.Contains(standIns, name)
}

// bothMayBe says why none of several names is used as the question.
func bothMayBe(names []string) string {
	return fmt.Sprintf("no question: %s may each be it: name the one with --question-col", quoted(names))
}

// knownNames are the names of columns and fields that have a meaning.
func (in *Input) knownNames() []string {
	names := append([]string{in.questionCol(), in.customIDCol()}, tableFields...)
	if in.prompt != nil {
		return append(names, in.prompt.names...)
	}
	names = append(names, fieldMessages, fieldChat, "body", "method", "url")
	return append(names, standIns...)
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
func (in *Input) meantFields(fields map[string]json.RawMessage) (meant map[string]json.RawMessage, own map[string]string) {
	plain := true
	for name := range fields {
		plain = plain && slices.Contains(in.known, name)
	}
	if plain {
		return fields, nil
	}
	names := slices.Sorted(maps.Keys(fields))
	meant, own = make(map[string]json.RawMessage, len(fields)), make(map[string]string)
	for i, name := range meantNames(names, in.known) {
		meant[name] = fields[names[i]]
		if name != names[i] {
			own[name] = names[i]
		}
	}
	return meant, own
}

// ownName is a field's name in the file.
func ownName(own map[string]string, name string) string {
	if there, ok := own[name]; ok {
		return there
	}
	return name
}
