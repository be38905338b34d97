package coze

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// The types of this file read one field each in all the forms that Coze has been seen to send it in. None of them
// fails on valid JSON: a field of no use must not cost an answer.

// text is a string; a number or anything else is kept as it is written, null is "".
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) == 0 || b[0] == 'n':
		*t = ""
	case b[0] != '"':
		*t = text(b)
	case len(b) >= 2 && bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b):
		*t = text(b[1 : len(b)-1])
	default:
		return json.Unmarshal(b, (*string)(t))
	}
	return nil
}

// ident is an id: digits, in a string or as a number beyond 2^53; "", "0" and null mean that there is none.
type ident string

func (i *ident) UnmarshalJSON(b []byte) error {
	if err := (*text)(i).UnmarshalJSON(b); err != nil {
		return err
	}
	if *i == "0" {
		*i = ""
	}
	return nil
}

// integer is a number, or one in a string; what is neither is 0.
type integer int64

func (n *integer) UnmarshalJSON(b []byte) error {
	s := string(bytes.Trim(b, `"`))
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		*n = integer(i)
		return nil
	}
	*n = 0
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<62 {
		*n = integer(f)
	}
	return nil
}

// textMap is a map of strings; what is not an object is none.
type textMap map[string]string

func (m *textMap) UnmarshalJSON(b []byte) error {
	*m = nil
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	var values map[string]text
	if err := json.Unmarshal(b, &values); err != nil {
		return err
	}
	if len(values) == 0 {
		return nil
	}
	*m = make(textMap, len(values))
	for key, value := range values {
		(*m)[key] = string(value)
	}
	return nil
}

// lastError is nil for null, {"code":0,"msg":""} and {"code":null}.
type lastError struct{ value *LastError }

func (l *lastError) UnmarshalJSON(b []byte) error {
	l.value = nil
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	var w struct {
		Code integer `json:"code"`
		Msg  text    `json:"msg"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	if w.Code != 0 || w.Msg != "" {
		l.value = &LastError{Code: int(w.Code), Message: string(w.Msg)}
	}
	return nil
}

// usage is nil until it says more than zeros; samples in Coze's documents name its fields in two ways.
type usage struct{ value *Usage }

func (u *usage) UnmarshalJSON(b []byte) error {
	u.value = nil
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	var w struct {
		TokenCount   integer `json:"token_count"`
		OutputCount  integer `json:"output_count"`
		InputCount   integer `json:"input_count"`
		OutputTokens integer `json:"output_tokens"`
		InputTokens  integer `json:"input_tokens"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	got := Usage{
		TokenCount:  int64(w.TokenCount),
		OutputCount: int64(max(w.OutputCount, w.OutputTokens)),
		InputCount:  int64(max(w.InputCount, w.InputTokens)),
	}
	if got.TokenCount == 0 {
		got.TokenCount = got.OutputCount + got.InputCount
	}
	if got != (Usage{}) {
		u.value = &got
	}
	return nil
}

// requiredAction is nil unless it names a tool: Coze sends an empty one with chats that need nothing.
type requiredAction struct{ value *RequiredAction }

func (r *requiredAction) UnmarshalJSON(b []byte) error {
	r.value = nil
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
		return nil // a shape never seen asks for nothing that we know
	}
	r.value = &RequiredAction{Type: string(w.Type)}
	for _, call := range w.Submit.ToolCalls {
		r.value.SubmitToolOutputs.ToolCalls = append(r.value.SubmitToolOutputs.ToolCalls, ToolCall{
			ID: string(call.ID), Type: string(call.Type),
			Function: ToolFunction{Name: string(call.Function.Name), Arguments: string(call.Function.Arguments)},
		})
	}
	return nil
}
