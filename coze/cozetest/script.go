package cozetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// LoadScript reads a script in JSON: see docs/mock.md.
// Errors say the line, the rule (from 1) and the field.
func LoadScript(r io.Reader) (Script, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var script Script
	fail := func(err error) (Script, error) {
		offset := d.InputOffset()
		if se, ok := errors.AsType[*json.SyntaxError](err); ok {
			offset = se.Offset
		}
		offset = min(offset, int64(len(text)))
		return nil, fmt.Errorf("script: line %d: %w", 1+bytes.Count(text[:offset], []byte("\n")), err)
	}
	if err := expect(d, json.Delim('{')); err != nil {
		return fail(err)
	}
	for d.More() {
		key, err := token(d)
		if err != nil {
			return fail(err)
		}
		if key != "rules" {
			return fail(fmt.Errorf("unknown field %q; a script is {\"rules\": [...]}", key))
		}
		if err := expect(d, json.Delim('[')); err != nil {
			return fail(err)
		}
		for d.More() {
			rule, err := readRule(d)
			if err != nil {
				return fail(fmt.Errorf("rule %d: %w", len(script)+1, err))
			}
			script = append(script, rule)
		}
		if err := expect(d, json.Delim(']')); err != nil {
			return fail(err)
		}
	}
	if err := expect(d, json.Delim('}')); err != nil {
		return fail(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fail(errors.New("text after the script's end"))
	}
	return script, nil
}

// token is the next one of a text that may not end here.
func token(d *json.Decoder) (json.Token, error) {
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return t, err
}

func expect(d *json.Decoder, want json.Delim) error {
	t, err := token(d)
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("found %v where %v belongs", t, want)
	}
	return nil
}

// readRule reads a rule field by field, so that an error can name the field and
// the decoder still stands at its line.
func readRule(d *json.Decoder) (Rule, error) {
	var r Rule
	if err := expect(d, json.Delim('{')); err != nil {
		return r, err
	}
	for d.More() {
		key, err := token(d)
		if err != nil {
			return r, err
		}
		value, err := token(d)
		if err != nil {
			return r, err
		}
		switch v := value.(type) {
		case string:
			err = r.set(key.(string), v)
		case json.Number:
			err = r.set(key.(string), v.String())
		case bool:
			err = r.set(key.(string), strconv.FormatBool(v))
		default:
			err = fmt.Errorf("%v: found %v where a string, a number, true or false belongs", key, value)
		}
		if err != nil {
			return r, err
		}
	}
	if err := expect(d, json.Delim('}')); err != nil {
		return r, err
	}
	return r, r.compile()
}

// set gives a field by its name in scripts and directives the value of a text.
func (r *Rule) set(key, value string) (err error) {
	fields := map[string]any{
		"on": &r.On, "contains": &r.Contains, "match": &r.Match, "nth": &r.Nth, "times": &r.Times, "percent": &r.Percent,
		"fault": &r.Kind, "code": &r.Code, "msg": &r.Msg, "status": &r.Status, "for": &r.For, "date": &r.Date, "after": &r.After,
		"bytes": &r.Bytes, "mid_json": &r.MidJSON, "reset": &r.Reset, "created": &r.Created, "then": &r.Then, "behind": &r.Behind,
		"lines": &r.Lines, "done": &r.Done, "pace": &r.Pace, "latency": &r.Latency, "deltas": &r.Deltas,
		"answer": &r.Answer, "size": &r.Size, "answers": &r.Answers, "empty": &r.Empty, "reasoning": &r.Reasoning, "type": &r.Type,
		"tool": &r.Tool, "arguments": &r.Arguments, "rounds": &r.Rounds, "says": &r.Says, "unnamed": &r.Unnamed, "strays": &r.Strays,
	}
	switch field := fields[key].(type) {
	case *string:
		*field = value
	case *Kind:
		*field = Kind(value)
	case *End:
		*field = End(value)
	case *int:
		*field, err = strconv.Atoi(value)
	case *float64:
		*field, err = strconv.ParseFloat(value, 64)
	case *bool:
		*field, err = strconv.ParseBool(value)
	case *time.Duration:
		*field, err = duration(value)
	default:
		return fmt.Errorf("unknown field %q", key)
	}
	if err != nil {
		return fmt.Errorf("%s: %q is not a value for it: %w", key, value, cause(err))
	}
	return nil
}

// duration reads 1.5s, 200ms and plain seconds.
func duration(s string) (time.Duration, error) {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		s = strconv.FormatFloat(n, 'f', -1, 64) + "s"
	}
	return time.ParseDuration(s)
}

// cause is what strconv found wrong, without its function's name.
func cause(err error) error {
	if ne, ok := errors.AsType[*strconv.NumError](err); ok {
		return ne.Err
	}
	return err
}
