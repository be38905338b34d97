package errorcodes

import (
	"maps"
	"slices"

	"github.com/cozeq/cozeq/coze"
)

// errorRow is a row of the table for programs. The texts are English whatever
// the locale, and Chinese under "zh": what a script reads does not depend on
// where it runs.
type errorRow struct {
	Code    int        `json:"code"`
	Class   coze.Class `json:"class"`
	Scope   coze.Scope `json:"scope,omitempty"`
	Tries   int        `json:"tries,omitempty"`
	Meaning string     `json:"meaning"`
	Action  string     `json:"action"`
	Hint    string     `json:"hint,omitempty"`
	ZH      errorWords `json:"zh"`
	Listed  bool       `json:"listed"`
}

// errorWords are the texts beside them in one more language.
type errorWords struct {
	Meaning string `json:"meaning,omitempty"`
	Action  string `json:"action,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

func row(c coze.Code, listed bool) errorRow {
	does := action(c.Class, c.Scope, c.Tries)
	return errorRow{
		Code: c.Code, Class: c.Class, Scope: c.Scope, Tries: c.Tries,
		Meaning: c.Meaning.EN, Action: does.EN, Hint: c.Hint.EN,
		ZH:     errorWords{c.Meaning.In(coze.Chinese), does.ZH, c.Hint.In(coze.Chinese)},
		Listed: listed,
	}
}

func rows(codes []coze.Code) []errorRow {
	all := make([]errorRow, 0, len(codes))
	for _, code := range codes {
		all = append(all, row(code, true))
	}
	return all
}

// errorClass is a class with its codes.
type errorClass struct {
	Class   coze.Class    `json:"class"`
	Meaning string        `json:"meaning"`
	Actions []errorAction `json:"actions"`
	Hint    string        `json:"hint,omitempty"`
	ZH      errorWords    `json:"zh"`
	Codes   []errorRow    `json:"codes"`
}

// errorAction is what cozeq does about a class of one scope.
type errorAction struct {
	Scope  coze.Scope `json:"scope,omitempty"`
	Action string     `json:"action"`
	ZH     errorWords `json:"zh"`
}

func class(name coze.Class, codes []coze.Code) errorClass {
	codes = slices.DeleteFunc(codes, func(c coze.Code) bool { return c.Class != name })
	means, hint := name.Meaning(), name.Hint()
	c := errorClass{
		Class: name, Meaning: means.EN, Hint: hint.EN,
		ZH:    errorWords{Meaning: means.ZH, Hint: hint.ZH},
		Codes: rows(codes),
	}
	for _, scope := range scopes(name, codes) {
		does := action(name, scope, 0)
		c.Actions = append(c.Actions, errorAction{scope, does.EN, errorWords{Action: does.ZH}})
	}
	return c
}

// scopes are those that the codes have, sorted: the question's own first. No
// code at all is a failure that concerns one question.
func scopes(class coze.Class, codes []coze.Code) []coze.Scope {
	if class == coze.ClassEndpoint { // it has no codes, and concerns all that is asked
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
