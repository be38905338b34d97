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

// LoadScript reads a script in the form that the package documentation shows.
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
	switch key {
	case "on":
		r.On = value
	case "contains":
		r.Contains = value
	case "match":
		r.Match = value
	case "nth":
		r.Nth, err = strconv.Atoi(value)
	case "times":
		r.Times, err = strconv.Atoi(value)
	case "percent":
		r.Percent, err = strconv.ParseFloat(value, 64)
	case "fault":
		r.Kind = Kind(value)
	case "code":
		r.Code, err = strconv.Atoi(value)
	case "msg":
		r.Msg = value
	case "status":
		r.Status, err = strconv.Atoi(value)
	case "for":
		r.For, err = duration(value)
	case "date":
		r.Date, err = strconv.ParseBool(value)
	case "after":
		r.After, err = strconv.Atoi(value)
	case "bytes":
		r.Bytes, err = strconv.Atoi(value)
	case "mid_json":
		r.MidJSON, err = strconv.ParseBool(value)
	case "reset":
		r.Reset, err = strconv.ParseBool(value)
	case "created":
		r.Created, err = strconv.ParseBool(value)
	case "then":
		r.Then = End(value)
	case "behind":
		r.Behind, err = duration(value)
	case "lines":
		r.Lines = value
	case "done":
		r.Done = value
	case "pace":
		r.Pace, err = duration(value)
	case "latency":
		r.Latency, err = duration(value)
	case "deltas":
		r.Deltas, err = strconv.Atoi(value)
	case "answer":
		r.Answer = value
	case "size":
		r.Size, err = strconv.Atoi(value)
	case "answers":
		r.Answers, err = strconv.Atoi(value)
	case "tool":
		r.Tool = value
	case "arguments":
		r.Arguments = value
	case "rounds":
		r.Rounds, err = strconv.Atoi(value)
	case "says":
		r.Says = value
	case "empty":
		r.Empty, err = strconv.ParseBool(value)
	case "reasoning":
		r.Reasoning, err = strconv.ParseBool(value)
	case "type":
		r.Type = value
	case "unnamed":
		r.Unnamed, err = strconv.ParseBool(value)
	case "strays":
		r.Strays, err = strconv.ParseBool(value)
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
