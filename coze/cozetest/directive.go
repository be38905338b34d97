package cozetest

import (
	"fmt"
	"slices"
	"strings"
)

const (
	directiveOpen  = "[[mock:"
	directiveClose = "]]"
)

// directives takes the [[mock:...]] parts out of a question and returns the
// rules that they are.
func (f *Fake) directives(question string) (plain string, rules []Rule, err error) {
	if f.cfg.NoDirectives || !strings.Contains(question, directiveOpen) {
		return question, nil, nil
	}
	return parseDirectives(question)
}

func parseDirectives(question string) (plain string, rules []Rule, err error) {
	var rest strings.Builder
	for s := question; ; {
		before, after, found := strings.Cut(s, directiveOpen)
		rest.WriteString(before)
		if !found {
			break
		}
		inside, next, closed := strings.Cut(after, directiveClose)
		if !closed {
			return "", nil, fmt.Errorf("directive %s%.40s is not closed with %s", directiveOpen, after, directiveClose)
		}
		r, err := parseDirective(inside)
		if err != nil {
			return "", nil, fmt.Errorf("directive %s%.100s%s: %w", directiveOpen, inside, directiveClose, err)
		}
		rules = append(rules, r)
		s = next
	}
	return strings.Join(strings.Fields(rest.String()), " "), rules, nil
}

// short is the field that a fault's own value means, as in cut=5.
var short = map[Kind]string{
	Refuse: "code", Expired: "code", Error: "code", Bare: "code", Fail: "code", FailFlat: "code",
	Limit: "for", Gateway: "status", Cut: "after", Stall: "for", Drip: "pace", Endless: "pace",
	Hangup: "created", Action: "tool",
}

// parseDirective reads KIND, KIND=VALUE and FIELD=VALUE words. code=N alone is a
// refusal.
func parseDirective(s string) (Rule, error) {
	var r Rule
	for word := range strings.FieldsSeq(s) {
		key, value, valued := strings.Cut(word, "=")
		field, known := short[Kind(key)]
		var err error
		switch {
		case known || !valued && isKind(key):
			if r.Kind != "" {
				return r, fmt.Errorf("both %s and %s", r.Kind, key)
			}
			r.Kind = Kind(key)
			if valued {
				err = r.set(field, value)
			}
		case key == "match" || key == "contains" || key == "on" && value != onSubmit || key == "nth":
			return r, fmt.Errorf("%s is for scripts: a directive concerns its own question", key)
		case valued:
			err = r.set(key, value)
		default:
			err = r.set(key, "true")
		}
		if err != nil {
			return r, err
		}
	}
	if r.Kind == "" && r.Code != 0 {
		r.Kind = Refuse
	}
	return r, r.compile()
}

func isKind(s string) bool {
	_, listed := short[Kind(s)]
	return listed || slices.Contains([]Kind{AskBack, Move, Envelope, Stray}, Kind(s))
}
