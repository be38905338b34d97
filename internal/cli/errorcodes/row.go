package errorcodes

import (
	"maps"
	"slices"

	"github.com/cozeq/cozeq/coze"
)

// row is a code for programs. Its texts are English in every locale, with the Chinese ones under "zh": the output for
// scripts must not depend on where they run.
type row struct {
	Code    int        `json:"code"`
	Class   coze.Class `json:"class"`
	Scope   coze.Scope `json:"scope,omitempty"`
	Tries   int        `json:"tries,omitempty"`
	Meaning string     `json:"meaning"`
	Action  string     `json:"action"`
	Hint    string     `json:"hint,omitempty"`
	ZH      words      `json:"zh"`
	Listed  bool       `json:"listed"`
}

// words are the texts in another language.
type words struct {
	Meaning string `json:"meaning,omitempty"`
	Action  string `json:"action,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

func newRow(c coze.Code, listed bool) row {
	does := action(c.Class, c.Scope, c.Tries)
	return row{
		Code: c.Code, Class: c.Class, Scope: c.Scope, Tries: c.Tries,
		Meaning: c.Meaning.EN, Action: does.EN, Hint: c.Hint.EN,
		ZH:     words{c.Meaning.In(coze.Chinese), does.ZH, c.Hint.In(coze.Chinese)},
		Listed: listed,
	}
}

func newRows(codes []coze.Code) []row {
	all := make([]row, 0, len(codes))
	for _, code := range codes {
		all = append(all, newRow(code, true))
	}
	return all
}

type classRow struct {
	Class   coze.Class  `json:"class"`
	Meaning string      `json:"meaning"`
	Actions []actionRow `json:"actions"`
	Hint    string      `json:"hint,omitempty"`
	ZH      words       `json:"zh"`
	Codes   []row       `json:"codes"`
}

// actionRow is what cozeq does about a class in one scope.
type actionRow struct {
	Scope  coze.Scope `json:"scope,omitempty"`
	Action string     `json:"action"`
	ZH     words      `json:"zh"`
}

func newClassRow(name coze.Class, codes []coze.Code) classRow {
	codes = slices.DeleteFunc(codes, func(c coze.Code) bool { return c.Class != name })
	means, hint := name.Meaning(), name.Hint()
	c := classRow{
		Class: name, Meaning: means.EN, Hint: hint.EN,
		ZH:    words{Meaning: means.ZH, Hint: hint.ZH},
		Codes: newRows(codes),
	}
	for _, scope := range scopes(name, codes) {
		does := action(name, scope, 0)
		c.Actions = append(c.Actions, actionRow{scope, does.EN, words{Action: does.ZH}})
	}
	return c
}

// scopes are those of the codes, the question's own first. A class without codes concerns one question.
func scopes(class coze.Class, codes []coze.Code) []coze.Scope {
	if class == coze.ClassEndpoint { // has no codes and concerns every question
		return []coze.Scope{coze.ScopeAccount}
	}
	found := map[coze.Scope]bool{}
	for _, c := range codes {
		found[c.Scope] = true
	}
	if len(found) == 0 {
		found[""] = true
	}
	return slices.Sorted(maps.Keys(found))
}
