package coze

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Override returns a copy of the table with the changes of a JSON object:
//
//	{"4013": {"class": "rate", "scope": "bot", "tries": 0, "meaning": "...", "hint": "..."}, "9999": "transient"}
//
// Fields that a row leaves out keep their value; auth, quota and rate have scope account unless the row sets another. A
// meaning or hint holds for every language, unless "zh" has its own: "zh": {"meaning": "...", "hint": "..."}. An error
// names the key that it is about.
func (t *CodeTable) Override(r io.Reader) (*CodeTable, error) {
	var changes map[string]json.RawMessage
	decoder := json.NewDecoder(r)
	if err := decoder.Decode(&changes); err != nil {
		return nil, fmt.Errorf("codes: not a JSON object of codes: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("codes: more than one JSON object")
	}
	next := &CodeTable{rows: maps.Clone(t.rows)}
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		code, err := strconv.Atoi(key)
		if err != nil || code <= 0 {
			return nil, fmt.Errorf("codes: %q: a key needs to be a code of Coze, a whole number above 0", key)
		}
		row, ok := next.rows[code]
		if !ok {
			row = Code{Code: code, Meaning: unknown}
		}
		if err := row.change(changes[key]); err != nil {
			return nil, fmt.Errorf("codes: %q: %w", key, err)
		}
		next.rows[code] = row
	}
	return next, nil
}

// change applies one value of Override's JSON.
func (c *Code) change(raw json.RawMessage) error {
	type words struct {
		Meaning *string `json:"meaning"`
		Hint    *string `json:"hint"`
	}
	var w struct {
		Class *Class `json:"class"`
		Scope *Scope `json:"scope"`
		Tries *int   `json:"tries"`
		words
		ZH words `json:"zh"`
	}
	if len(raw) > 0 && raw[0] == '"' {
		raw = slices.Concat(json.RawMessage(`{"class":`), raw, json.RawMessage(`}`))
	}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w); err != nil {
		return fmt.Errorf("not a class or an object with class, scope, tries, meaning, hint, zh: %w", err)
	}
	if w.Class != nil {
		if !slices.Contains(codeClasses, *w.Class) {
			return fmt.Errorf("unknown class %q, want one of %q", *w.Class, codeClasses)
		}
		if *w.Class != c.Class {
			c.Class, c.Hint = *w.Class, w.Class.Hint()
		}
	}
	if c.Class == "" {
		return errors.New("a code that is not in the table needs a class")
	}
	if w.Scope == nil && c.Scope == "" && slices.Contains(accountClasses, c.Class) {
		c.Scope = ScopeAccount
	}
	if w.Scope != nil {
		if !slices.Contains([]Scope{"", ScopeBot, ScopeAccount}, *w.Scope) {
			return fmt.Errorf("unknown scope %q, want bot, account or nothing", *w.Scope)
		}
		c.Scope = *w.Scope
	}
	if w.Tries != nil {
		if *w.Tries < 0 {
			return fmt.Errorf("tries %d is below 0", *w.Tries)
		}
		c.Tries = *w.Tries
	}
	c.Meaning.change(w.Meaning, w.ZH.Meaning)
	c.Hint.change(w.Hint, w.ZH.Hint)
	return nil
}

// change replaces the text in all languages, so that none keeps an outdated one.
func (t *Text) change(all, zh *string) {
	if all != nil {
		*t = Text{*all, *all}
	}
	if zh != nil {
		t.ZH = *zh
	}
}
