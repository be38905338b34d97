package terminal

import "testing"

func TestWantsColor(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"terminal":       {map[string]string{"TERM": "xterm"}, true},
		"NO_COLOR":       {map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false},
		"empty NO_COLOR": {map[string]string{"TERM": "xterm", "NO_COLOR": ""}, true},
		"dumb":           {map[string]string{"TERM": "dumb"}, false},
	} {
		if got := wantsColor(func(n string) (string, bool) { v, ok := tt.env[n]; return v, ok }); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
