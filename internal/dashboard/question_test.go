package dashboard

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cozeq/cozeq/tasks"
)

// FuzzPayload: any payload has a page and a few lines in a list, and one that is a
// question is readable on its page.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{
		`{"v":1,"additional_messages":[{"role":"user","content":"你好\n\r\n 世界 "},{"content":""}]}`,
		`{"v":1,"additional_messages":[{"content":"[{\"type\":\"text\",\"text\":null},1]","content_type":"object_string"}],"a":null,"b":"\n"}`,
		`{"v":1,"preview":"` + strings.Repeat("长", 300) + `","x":1e999,"custom_id":"\u0000"}`,
		`{"v":1,"\n":{"b":2,"a":[1]},"conversation_key":"x"}`,
		`{"v":1,`, `[]`, `{"v":1}{"v":1}`, "\xff", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		list := listed(nil, "id", payload).String()
		if list == "" {
			t.Error("nothing in the list")
		}
		chat, err := tasks.Decode([]byte(payload))
		if err != nil {
			return
		}
		question, _, _ := strings.Cut(list, "conversation_key:")
		if n := utf8.RuneCountInString(question); chat.CustomID == "" && n > 2*listRunes {
			t.Errorf("%d characters in a list: %q", n, list)
		}
		var s, rest sheet
		s.question(chat, "gone")
		rest.fields([]byte(payload))
		page := s.String()
		if !strings.HasPrefix(page, "question:") {
			t.Errorf("the page begins with %q", page)
		}
		for _, m := range chat.AdditionalMessages {
			if m.ContentType == "object_string" {
				continue
			}
			for word := range strings.FieldsSeq(m.Content) {
				if !strings.Contains(page, word) {
					t.Errorf("%q is not on the page: %q", word, page)
				}
			}
		}
		for _, f := range members([]byte(payload)) {
			switch f.name {
			case "v", "additional_messages", "preview":
				continue
			}
			if readable(f.value) != "" && !strings.Contains(rest.String(), strings.TrimRight(f.name, "\n")+":") {
				t.Errorf("%q is not on the page: %q", f.name, rest.String())
			}
		}
	})
}

// A sheet's blocks keep their lines, whatever ends them.
func TestSheet(t *testing.T) {
	var s sheet
	s.gap()
	s.fact("none", "")
	s.fact("short", "一行")
	s.fact("long", strings.Repeat("长", longLine+1))
	s.gap()
	s.gap()
	s.block("lines", "one\r\n\r\n  two\n\n")
	s.block("empty", "")
	want := "short: 一行\nlong:\n  " + strings.Repeat("长", longLine+1) + "\n\nlines:\n  one\n\n    two\nempty:"
	if got := s.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := joined(&s, &sheet{}, &s); got != want+"\n\n"+want {
		t.Errorf("joined:\n%s", got)
	}
	if got := brief(" 一\n二\t三四 ", 4); got != "一 二 …" {
		t.Errorf("brief: %q", got)
	}
}
