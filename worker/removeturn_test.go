package worker_test

import (
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

const deletePath = "/v1/conversation/message/delete"

// say asks the next turn of a conversation with a key.
func (l *line) say(question string) *results.Result {
	l.t.Helper()
	chat := tasks.Ask("bot", question)
	chat.ConversationKey = "talk"
	return l.wait(l.enqueue(chat, tasks.Options{}))
}

// questions are those of a conversation that begin with text.
func (l *line) questions(conversation, text string) (n int) {
	l.t.Helper()
	page, err := l.fake.Client().ListMessages(l.t.Context(), conversation, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, m := range page.Messages {
		if m.Role == "user" && strings.HasPrefix(m.Content, text) {
			n++
		}
	}
	return n
}

// TestFailedTurnRemoved asks a turn again after its chats have failed: the bot sees the
// question once.
func TestFailedTurnRemoved(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.work()
		l.say("one")
		// It fails twice, and then waits for a rate limit: nothing is looked at again for that.
		r := l.say("two [[mock:fail=5000 times=2]] [[mock:code=4013 times=2]]")
		if r.Status != results.Completed || r.Attempts != 3 || !strings.HasSuffix(r.Answer, `(turn 2, after "one").`) || len(r.Warnings) != 0 {
			t.Errorf("%+v", r)
		}
		if n := l.questions(r.ConversationID, "two"); n != 1 {
			t.Errorf("%d questions stand in the conversation", n)
		}
		if n := l.fake.Calls(deletePath); n != 2 {
			t.Errorf("%d messages were deleted", n)
		}
		// A conversation of its own is never asked in again.
		if r := l.ask("alone [[mock:fail=5000 times=1]]"); r.Status != results.Completed || l.fake.Calls(deletePath) != 2 {
			t.Errorf("%+v, %d messages were deleted", r, l.fake.Calls(deletePath))
		}
	})
}

// TestFailedTurnStays has questions that may be needed where they are, and a token that may
// not delete: the turn is asked all the same.
func TestFailedTurnStays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		question string
		rules    []cozetest.Rule
		deletes  int
		stay     int // questions, the last one included
	}{
		"no answer is listed": {question: "two [[mock:empty times=1]]", stay: 2},
		"canceled at Coze":    {question: "two [[mock:cut=3 then=canceled times=1]]", stay: 2},
		"may not delete": {question: "two [[mock:fail=5000 times=1]]", deletes: 1, stay: 2,
			rules: []cozetest.Rule{{On: "delete", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4101}}}},
		"an earlier ask's is left": {question: "two [[mock:fail=5000 times=2]]", deletes: 1, stay: 3,
			rules: []cozetest.Rule{{On: "delete", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Gateway}}}},
		"cannot be listed": {question: "two [[mock:fail=5000 times=1]]", stay: 2,
			rules: []cozetest.Rule{{On: "history", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Gateway}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t, redistest.Embedded(t))
			l.work()
			l.say("one")
			l.rules(c.rules...)
			r := l.say(c.question)
			if r.Status != results.Completed || r.PossibleDuplicate {
				t.Errorf("%+v, error %+v", r, r.Error)
			}
			if n := l.questions(r.ConversationID, "two"); n != c.stay {
				t.Errorf("%d questions stand in the conversation, want %d", n, c.stay)
			}
			if n := l.fake.Calls(deletePath); n != c.deletes {
				t.Errorf("asked to delete %d times, want %d", n, c.deletes)
			}
		})
	}
}
