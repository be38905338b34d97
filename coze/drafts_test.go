package coze_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cozeq/cozeq/coze"
)

// A delta that is like the one before it is not read again as a whole. What is gathered is what encoding/json reads.
func FuzzDrafts(f *testing.F) {
	for _, seed := range []string{"a|b|c", `a|b","content":"c`, `a|b","type":"verbose`, `a|b\`, `a"|"b`, `a","content":"b|c|d`, `a","type":"verbose|b`, `\ud83d|\ude42`, `\|"x`, "a||b", `","reasoning_content":"r|","reasoning_content":"s`, `x","id":"8|y`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, contents string) {
		if strings.ContainsAny(contents, "\r\n") || !utf8.ValidString(contents) {
			return
		}
		body, said, thought := created, "", ""
		for content := range strings.SplitSeq(contents, "|") {
			data := `{"id":"7","chat_id":"` + chatID + `","role":"assistant","type":"answer","reasoning_content":"","content":"` + content + `","n":1}`
			body += event("conversation.message.delta", data)
			var m struct {
				ID, Role, Type, Content json.RawMessage
				Reasoning               json.RawMessage `json:"reasoning_content"`
				ChatID                  json.RawMessage `json:"chat_id"`
			}
			if json.Unmarshal([]byte(data), &m) != nil {
				continue
			}
			if string(m.ID) != `"7"` || string(m.ChatID) != `"`+chatID+`"` {
				return // of another message or chat
			}
			if string(m.Type) == `"answer"` && string(m.Role) == `"assistant"` {
				said += inside(m.Content)
			}
			thought += inside(m.Reasoning)
		}
		s, err := clientOf(stream(body)).Stream(t.Context(), question())
		if err != nil {
			t.Fatal(err)
		}
		for range s.Events() {
		}
		var chat coze.Chat
		chat.Messages = s.Drafts()
		for what, pair := range map[string][2]string{"answer": {chat.Answer(), said}, "reasoning": {chat.Reasoning(), thought}} {
			var want string
			if err := json.Unmarshal([]byte(`"`+pair[1]+`"`), &want); err == nil && strings.TrimSpace(pair[0]) != strings.TrimSpace(want) {
				t.Errorf("%s %q, want %q", what, pair[0], want)
			}
		}
	})
}

// inside is a JSON string without its quotes, "" for any other value.
func inside(raw json.RawMessage) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	return string(raw[1 : len(raw)-1])
}
