package messages

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Encode is json.Marshal, but leaves <, > and & as they are.
func Encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Kind is the kind of a JSON value, for people.
func Kind(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// StringOf reads a string. Null is none.
func StringOf(raw json.RawMessage) (string, error) {
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", fmt.Errorf("want a string, not %s", Kind(raw))
	}
	return *s, nil
}

// Nothing reports whether a field is the same as a missing one.
func Nothing(raw json.RawMessage) bool {
	return Kind(raw) == "null" || string(raw) == "[]" || string(raw) == "{}"
}

// IsText reports whether the format of an answer that a request asks for is text, which is that of a bot's answers.
func IsText(raw json.RawMessage) bool {
	type format struct {
		Type string `json:"type"`
	}
	var form struct {
		format
		Format format `json:"format"`
	}
	if json.Unmarshal(raw, &form) != nil {
		return false
	}
	return (form.Type == "" || form.Type == "text") && (form.Format.Type == "" || form.Format.Type == "text")
}
