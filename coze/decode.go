package coze

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// Each function below reads one value in all the forms that Coze sends. None fails on valid JSON: an odd field must not
// cost an answer. The types do the same for encoding/json.

// textOf reads a string. Null is ""; any other value is kept as it is written.
func textOf(b []byte) string {
	switch {
	case len(b) == 0 || b[0] == 'n':
		return ""
	case b[0] != '"':
		return string(b)
	case len(b) >= 2 && bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b):
		return string(b[1 : len(b)-1])
	}
	var s string
	_ = json.Unmarshal(b, &s) // a valid string gives no error
	return s
}

type text string

func (t *text) UnmarshalJSON(b []byte) error {
	*t = text(textOf(b))
	return nil
}

// idOf reads an id: digits, as a string or as a number above 2^53. "", "0" and null mean no id.
func idOf(b []byte) string {
	if id := textOf(b); id != "0" {
		return id
	}
	return ""
}

type ident string

func (i *ident) UnmarshalJSON(b []byte) error {
	*i = ident(idOf(b))
	return nil
}

// integerOf reads a number, also one in a string; anything else is 0.
func integerOf(b []byte) int64 {
	s := string(bytes.Trim(b, `"`))
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<62 {
		return int64(f)
	}
	return 0
}

type integer int64

func (n *integer) UnmarshalJSON(b []byte) error {
	*n = integer(integerOf(b))
	return nil
}

// textsOf reads a map of strings, nil for an empty object and for any other value.
func textsOf(b []byte) map[string]string {
	o := object{b: b}
	var texts map[string]string
	for o.next() {
		if texts == nil {
			texts = make(map[string]string)
		}
		texts[textOf(o.quoted)] = textOf(o.value)
	}
	return texts
}

// lastErrorOf is nil for null, {"code":0,"msg":""} and {"code":null}.
func lastErrorOf(b []byte) *LastError {
	o := object{b: b}
	var last LastError
	for o.next() {
		switch string(o.name) {
		case "code":
			last.Code = int(integerOf(o.value))
		case "msg":
			last.Message = textOf(o.value)
		}
	}
	if last == (LastError{}) {
		return nil
	}
	return &last
}

// usageOf is nil if all is zero. Coze's documents name its fields in two ways.
func usageOf(b []byte) *Usage {
	o := object{b: b}
	var got Usage
	for o.next() {
		switch string(o.name) {
		case "token_count":
			got.TokenCount = integerOf(o.value)
		case "output_count", "output_tokens":
			got.OutputCount = max(got.OutputCount, integerOf(o.value))
		case "input_count", "input_tokens":
			got.InputCount = max(got.InputCount, integerOf(o.value))
		}
	}
	if got.TokenCount == 0 {
		got.TokenCount = got.OutputCount + got.InputCount
	}
	if got == (Usage{}) {
		return nil
	}
	return &got
}

// requiredActionOf is nil unless it names a tool: Coze sends an empty object with chats that need nothing.
func requiredActionOf(b []byte) *RequiredAction {
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	var w struct {
		Type   text `json:"type"`
		Submit struct {
			ToolCalls []struct {
				ID       text `json:"id"`
				Type     text `json:"type"`
				Function struct {
					Name      text `json:"name"`
					Arguments text `json:"arguments"`
				} `json:"function"`
			} `json:"tool_calls"`
		} `json:"submit_tool_outputs"`
	}
	if err := json.Unmarshal(b, &w); err != nil || len(w.Submit.ToolCalls) == 0 {
		return nil // an unknown form asks for nothing that we know
	}
	action := &RequiredAction{Type: string(w.Type)}
	for _, call := range w.Submit.ToolCalls {
		action.SubmitToolOutputs.ToolCalls = append(action.SubmitToolOutputs.ToolCalls, ToolCall{
			ID: string(call.ID), Type: string(call.Type),
			Function: ToolFunction{Name: string(call.Function.Name), Arguments: string(call.Function.Arguments)},
		})
	}
	return action
}
