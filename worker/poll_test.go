package worker_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// TestLookUpOutlasts has calls that look a chat up fail for a while: the chat is paid
// for, so its answer is waited for, and none of that counts as an ask.
func TestLookUpOutlasts(t *testing.T) {
	t.Parallel()
	refuse := func(on string, code, times int) cozetest.Rule {
		return cozetest.Rule{On: on, Times: times, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: code}}
	}
	gateway := func(on string, status, times int) cozetest.Rule {
		return cozetest.Rule{On: on, Times: times, Fault: cozetest.Fault{Kind: cozetest.Gateway, Status: status}}
	}
	cases := []struct {
		name, question string
		rule           cozetest.Rule
		attempts       int
	}{
		{"messages 5000", "a [[mock:cut=4]]", refuse("messages", 5000, 5), 1},
		{"messages 502", "a [[mock:cut=4]]", gateway("messages", 502, 5), 1},
		{"messages lag", "a [[mock:cut=4]]", refuse("messages", 4001, 2), 1},
		{"messages 403", "a [[mock:cut=4]]", gateway("messages", 403, 1), 1},
		{"retrieve 403", "a [[mock:cut=4]]", gateway("retrieve", 403, 1), 1},
		{"retrieve rate", "a [[mock:cut=4]]", refuse("retrieve", 4009, 3), 1},
		{"history 502, taken", "a [[mock:hangup created]]", gateway("history", 502, 3), 1},
		{"history 502, not taken", "a [[mock:hangup times=1]]", gateway("history", 502, 3), 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t, redistest.Embedded(t), cozetest.WithRules(c.rule))
			l.work()
			r := l.ask(c.question)
			if r.Status != results.Completed || r.Attempts != c.attempts || r.PossibleDuplicate || l.fake.Accepted() != 1 {
				t.Errorf("%d chats, %+v, error %+v", l.fake.Accepted(), r, r.Error)
			}
		})
	}
}

// TestDeadlineKeepsPaidChat ends an attempt's time while Coze cannot say how its chat
// stands: the next attempt asks for that, not the question again.
func TestDeadlineKeepsPaidChat(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]cozetest.Rule{
		"retrieve": {On: "retrieve", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Gateway}},
		"messages": {On: "messages", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Stall}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t, redistest.Embedded(t), cozetest.WithRules(rule))
			l.work()
			r := l.wait(l.enqueue(tasks.Ask("bot", "late [[mock:stall after=4]]"), tasks.Options{Timeout: 2 * time.Second}))
			if r.Status != results.Completed || l.fake.Accepted() != 1 {
				t.Errorf("%d chats, %+v, error %+v", l.fake.Accepted(), r, r.Error)
			}
		})
	}
}

// lagging hides the messages of conversations from the first lists of them.
type lagging struct {
	http.RoundTripper
	lists atomic.Int32
}

func (l *lagging) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/v1/conversation/message/list" && l.lists.Add(-1) >= 0 {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
			Body: io.NopCloser(strings.NewReader(`{"code":0,"data":[],"has_more":false}`)),
		}, nil
	}
	return l.RoundTripper.RoundTrip(r)
}

// TestLateList has Coze list a question only some time after it took it: that another
// chat is active in a conversation of the task's own tells that it did.
func TestLateList(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t), cozetest.With(cozetest.Config{DeltaPace: 1200 * time.Millisecond}))
	l.work(func(c *worker.Config) {
		lag := &lagging{RoundTripper: c.Coze.HTTP.Transport}
		lag.lists.Store(7)
		c.Coze.HTTP = &http.Client{Transport: lag}
	})
	r := l.ask("late [[mock:hangup created times=1]]")
	if r.Status != results.Completed || l.fake.Accepted() != 1 {
		t.Errorf("%d chats, %+v, error %+v", l.fake.Accepted(), r, r.Error)
	}
}

// TestQuestionOfEndedChat asks twice in one conversation: the first chat had nothing
// to say, the second ask got no reply and was not taken. What stands in the
// conversation is the first question, and must not be taken for the second.
func TestQuestionOfEndedChat(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	chat := tasks.Ask("bot", "one [[mock:empty times=1]] [[mock:hangup times=1]]")
	chat.ConversationKey = "talk"
	r := l.wait(l.enqueue(chat, tasks.Options{}))
	if r.Status != results.Completed || r.Attempts != 3 || l.fake.Accepted() != 2 {
		t.Errorf("%d chats, %+v, error %+v", l.fake.Accepted(), r, r.Error)
	}
}
