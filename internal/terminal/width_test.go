package terminal

import "testing"

func TestCut(t *testing.T) {
	tests := []struct {
		text  string
		width int
		want  string
	}{
		{"hello", 5, "hello"},
		{"hello!", 5, "hell…"},
		{"你好世界", 8, "你好世界"},
		{"你好世界", 7, "你好世…"},
		{"你好世界", 6, "你好…"},
		{"", 3, ""},
	}
	for _, tt := range tests {
		if got := Cut(tt.text, tt.width); got != tt.want || Columns(got) > tt.width {
			t.Errorf("cut(%q, %d) = %q, %d columns", tt.text, tt.width, got, Columns(got))
		}
	}
}
