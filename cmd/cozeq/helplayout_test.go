package main

import (
	"regexp"
	"strings"
	"testing"
)

// No help is wider than its terminal, but for examples, which are there to be copied,
// and nothing of it is lost.
func TestHelpOnTerminal(t *testing.T) {
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for _, command := range []string{
		"", "run", "worker", "ask", "result", "cancel", "batch", "batch submit", "batch list", "batch status", "batch watch",
		"batch results", "batch cancel", "batch retry", "batch verify", "queues", "queues pause", "queues resume",
		"dashboard", "doctor", "errors", "mock", "health",
	} {
		args := append(strings.Fields(command), "--help")
		whole, _, _ := onTerminal(t, 1000, false, args...)
		for _, width := range []int{72, 80} {
			out, _, code := onTerminal(t, width, false, args...)
			if code != exitOK || words(out) != words(whole) {
				t.Errorf("%s at %d: exit code %d, text lost:\n%s", command, width, code, out)
			}
			examples := false
			for line := range strings.SplitSeq(out, "\n") {
				examples = line == "Examples:" || examples && line != ""
				if columns(line) > width && !examples {
					t.Errorf("%s at %d: %d columns: %q", command, width, columns(line), line)
				}
			}
		}
	}
}

func TestHelpLaidOut(t *testing.T) {
	out, _, _ := onTerminal(t, 80, false, "run", "--help")
	want := regexp.MustCompile(`(?m)^      --concurrency N            let at most N chats be in flight in this\n {33}process \[\$COZEQ_CONCURRENCY, default 64\]$`)
	if !want.MatchString(out) {
		t.Errorf("a flag's text does not go on under itself:\n%s", out)
	}
	out, _, _ = onTerminal(t, 40, false, "run", "--help")
	if want := "      --bot ID\n        ID of the bot that answers\n"; !strings.Contains(out, want) {
		t.Errorf("no %q in a narrow help:\n%s", want, out)
	}
}
