package terminal

import (
	"strings"
	"testing"
)

func TestWrapped(t *testing.T) {
	for _, tt := range []struct {
		text  string
		width int
		want  string
	}{
		{"one two three", 9, "| one two| three"},
		{"one  two\nthree", 40, "| one two three"},
		{"extraordinarily long", 8, "| extraordinarily| long"},
		{"等待会话空闲", 7, "| 等待会| 话空闲"},
		{"等待，会话", 7, "| 等待，| 会话"},                  // as it comes
		{"等待会，话空", 7, "| 等待| 会，话| 空"},              // no stop begins a line
		{"等待（会话）空", 7, "| 等待| （会| 话）空"},            // no bracket is left alone
		{"用 10 分钟", 7, "| 用 10| 分钟"},               // at the space
		{"exit code 4结束", 13, "| exit code 4| 结束"}, // where scripts meet
		{"", 10, ""},
	} {
		got := Wrap(tt.text, " ", tt.width)
		if want := strings.TrimPrefix(strings.ReplaceAll(tt.want, "|", "\n"), "\n") + "\n"; got != want {
			t.Errorf("wrapped(%q, %d) = %q, want %q", tt.text, tt.width, got, want)
		}
	}
}

// Nothing is lost or added but white space, whatever the text.
func FuzzWrapped(f *testing.F) {
	f.Add("等待会话空闲，最多 12 分钟（含）", 10)
	f.Add("\xff（（（，，，", 1)
	f.Add("a \u0301 b", 0)
	f.Fuzz(func(t *testing.T, text string, width int) {
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		got := Wrap(text, "  ", width)
		if squeeze(got) != squeeze(text) {
			t.Errorf("wrapped(%q, %d) = %q", text, width, got)
		}
		for line := range strings.Lines(got) {
			line = strings.TrimSpace(line)
			// A line over the width is one that could not be cut.
			if Columns(line)+2 > width && (strings.Contains(line, " ") || len(pieces(line)) > 1) {
				t.Errorf("wrapped(%q, %d): %q is too long and could be cut", text, width, line)
			}
		}
	})
}
