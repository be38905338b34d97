package input

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Other tools call the question, or its messages, something else. Where a row has no question and exactly one of these, that
// is it.
var standIns = []string{"prompt", "input", "query"}

// fieldChat holds the messages in data sets for OpenAI's models, of the shape of a request to its API.
const fieldChat = "messages"

// standIn reports whether a column or field may stand in for the question that a row lacks.
func (in *Input) standIn(name string) bool {
	return in.prompt == nil && in.options.QuestionCol == "" && slices.Contains(standIns, name)
}

// bothMayBe says why none of several names is taken for the question.
func bothMayBe(names []string) string {
	return fmt.Sprintf("no question: %s may each be it: name the one with --question-col", quoted(names))
}

// knownNames are the names by which a column or field means something.
func (in *Input) knownNames() []string {
	names := append([]string{in.questionCol(), in.customIDCol()}, tableFields...)
	if in.prompt != nil {
		return append(names, in.prompt.names...)
	}
	names = append(names, fieldMessages, fieldChat, "body", "method", "url")
	return append(names, standIns...)
}

// meantNames gives for each name the known one that it stands for: itself, or the one from which it differs in case and in
// blanks around it only. Where two names differ from a known one so, neither stands for it, nor does any if it is there itself.
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

// meantFields gives fields the names that they stand for; own has those that they had, where these are others.
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

// ownName is the name that a field has in the file.
func ownName(own map[string]string, name string) string {
	if there, ok := own[name]; ok {
		return there
	}
	return name
}
