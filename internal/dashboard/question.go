package dashboard

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"

	"github.com/cozeq/cozeq/tasks"
)

// question writes the question and the messages before it. unread says why a question stored outside the payload cannot
// be shown.
func (s *sheet) question(chat *tasks.Chat, unread string) {
	messages := chat.AdditionalMessages
	if chat.IsWorkflow() && chat.Preview == "" {
		s.block("workflow's parameters", parametersText(chat))
		return
	}
	if len(messages) == 0 {
		s.block("question", chat.Preview)
		s.fact("the rest of it", unread)
		return
	}
	last := len(messages) - 1
	s.block("question", content(messages[last]))
	for _, m := range messages[:last] {
		s.gap()
		s.block("before it, "+cmp.Or(m.Role, "no role"), content(m))
	}
}

func (s *sheet) fields(payload []byte) {
	for _, f := range members(payload) {
		switch f.name {
		case "v", "additional_messages", "preview", "sealed":
		default:
			s.fact(f.name, readable(f.value))
		}
	}
}

func questionBrief(chat *tasks.Chat) string {
	if n := len(chat.AdditionalMessages); n > 0 {
		return brief(content(chat.AdditionalMessages[n-1]), listRunes)
	}
	if chat.IsWorkflow() && chat.Preview == "" {
		return brief(parametersText(chat), listRunes)
	}
	return brief(chat.Preview, listRunes)
}

// parametersText is a workflow's parameters as JSON, or the answer that resumes its run.
func parametersText(chat *tasks.Chat) string {
	if chat.Resume != nil {
		return chat.Resume.Data
	}
	text, err := json.Marshal(chat.Parameters)
	if err != nil {
		return ""
	}
	return readable(text)
}

// content is a message's text. A message of several parts is a JSON array: text stays, each file or image becomes a line.
func content(m tasks.Message) string {
	if m.ContentType != "object_string" {
		return m.Content
	}
	var parts []json.RawMessage
	if json.Unmarshal([]byte(m.Content), &parts) != nil {
		return m.Content
	}
	lines := make([]string, len(parts))
	for i, part := range parts {
		var text struct {
			Type string  `json:"type"`
			Text *string `json:"text"`
		}
		if json.Unmarshal(part, &text) == nil && text.Type == "text" && text.Text != nil {
			lines[i] = *text.Text
		} else {
			lines[i] = readable(part)
		}
	}
	return strings.Join(lines, "\n")
}

type member struct {
	name  string
	value json.RawMessage
}

// members lists the members of a JSON object in order, of invalid JSON those before the error.
func members(data []byte) []member {
	d := json.NewDecoder(bytes.NewReader(data))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil
	}
	var all []member
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			break
		}
		all = append(all, member{name, value})
	}
	return all
}

// readable is a JSON value for people: a string without quotes, \u4f60 as 你. Numbers keep their digits.
func readable(value json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return string(value)
	}
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return string(value)
	}
	return strings.TrimSpace(b.String())
}
