package cozetest_test

import (
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
)

func TestAnyTextSurvives(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                         "plain",
		"数据🙂 ü":                         "数据🙂 ü",
		"\x00\x1f\b\t\r\n\"\\/<>&":      "\x00\x1f\b\t\r\n\"\\/<>&",
		"\u2028\u2029\ufeff\ufffd":      "\u2028\u2029\ufeff\ufffd",
		"bad \xff utf-8 \xe6\x95":       "bad \ufffd utf-8 \ufffd\ufffd",
		"event:done\ndata:\"x\"\n\nid:": "event:done\ndata:\"x\"\n\nid:",
	} {
		for _, deltas := range []int{1, 3, 1000} {
			c := callerOf(t, cozetest.New(t, func(c *cozetest.Config) {
				c.Deltas, c.Answer = deltas, func(string) string { return text }
			}))
			var joined strings.Builder
			var whole string
			for _, e := range c.ask("", "q", true).events(t) {
				switch e.Name {
				case "conversation.message.delta":
					joined.WriteString(e.message(t).Content)
				case "conversation.message.completed":
					if m := e.message(t); m.Type == "answer" {
						whole = m.Content
					}
				}
			}
			if whole != want || joined.String() != want {
				t.Errorf("%q in %d deltas: whole %q, joined %q, want %q", text, deltas, whole, &joined, want)
			}
		}
	}
}

func TestFollowUps(t *testing.T) {
	for n, want := range map[int]int{-1: 0, 0: 3, 1: 1, 9: 3} {
		c := callerOf(t, cozetest.New(t, cozetest.With(cozetest.Config{FollowUps: n})))
		if got := strings.Count(c.ask("", "q", true).Body, `"follow_up"`); got != want {
			t.Errorf("FollowUps %d: %d sent, want %d", n, got, want)
		}
	}
}

// failing is a TB that keeps what it is told and goes on.
type failing struct {
	*testing.T
	said string
}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = format
	panic(f)
}

func TestNewFailsTheTestOnABadRule(t *testing.T) {
	tb := &failing{T: t}
	defer func() {
		if recover() != tb || tb.said == "" {
			t.Errorf("Fatalf was not called: %q", tb.said)
		}
	}()
	cozetest.New(tb, cozetest.WithRules(cozetest.Rule{On: "moon"}))
}

func TestUnknownConversationHasNoHistory(t *testing.T) {
	srv := cozetest.New(t)
	if srv.MaxRunning("1") != 0 || srv.Order("1") != nil {
		t.Error("an unknown conversation has a history")
	}
}
