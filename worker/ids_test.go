package worker_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// TestChatNamedLate has a chat's id come from anything but chat.created: the chat was made
// and is billed, so it is looked up, and asked once.
func TestChatNamedLate(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.work()
		ids := make(map[string]string)
		for _, stream := range []bool{false, true} {
			for _, question := range []string{
				"an envelope [[mock:envelope]]",
				"a delta, then nothing [[mock:cut=1 unnamed]]",
				"all but the end [[mock:cut=12 unnamed]]",
				"all but the beginning [[mock:unnamed]]",
				"another's events too [[mock:strays]]",
				"another's events, and cut [[mock:cut=6 strays]]",
				"another's events alone [[mock:stray]]",
			} {
				chat := tasks.Ask("bot", question)
				chat.Stream = stream
				ids[question+map[bool]string{true: " streamed"}[stream]] = l.enqueue(chat, tasks.Options{})
			}
		}
		for question, id := range ids {
			r := l.wait(id)
			if r.Status != results.Completed || r.Attempts != 1 || r.PossibleDuplicate || r.ChatID == "" || r.ConversationID == "" {
				t.Errorf("%s: %+v, error %+v", question, r, r.Error)
				continue
			}
			chat, err := l.fake.Client().RetrieveChat(t.Context(), r.ConversationID, r.ChatID)
			if err != nil || chat.ID != r.ChatID {
				t.Errorf("%s: chat %s is not of conversation %s: %v", question, r.ChatID, r.ConversationID, err)
			}
			if want := "Mock answer to"; len(r.Answer) < len(want) || r.Answer[:len(want)] != want {
				t.Errorf("%s: answer %q", question, r.Answer)
			}
		}
		if n := l.fake.Accepted(); n != len(ids) {
			t.Errorf("%d chats for %d questions", n, len(ids))
		}
	})
}

// TestIdsOfFailure wants the ids that Coze's support asks for, whatever named them.
func TestIdsOfFailure(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	r := l.ask("one event [[mock:fail=4014 unnamed]]")
	if r.Status != results.Failed || r.ChatID == "" || r.ConversationID == "" || r.Error.LogID == "" || r.PossibleDuplicate {
		t.Errorf("%+v, error %+v", r, r.Error)
	}
	r = l.ask("nothing to say [[mock:empty]]")
	if r.Status != results.Failed || r.ChatID == "" || r.ConversationID == "" || r.Error.LogID == "" {
		t.Errorf("%+v, error %+v", r, r.Error)
	}
}

// TestIdsNotedBeforeLookUp holds the look-up up: the record names the chat by then, for
// whoever comes after this worker.
func TestIdsNotedBeforeLookUp(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb, cozetest.WithRules(cozetest.Rule{
			On: "retrieve", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Stall, For: 3 * time.Second},
		}))
		l.work()
		id := l.enqueue(tasks.Ask("bot", "held up [[mock:envelope]]"), tasks.Options{})
		awaittest.Until(t, "the look-up", func() bool { return l.fake.Accepted() == 1 })
		awaittest.Until(t, "the note", func() bool {
			fields, err := rdb.HGetAll(t.Context(), results.Key(id)).Result()
			return err == nil && fields["status"] == "running" &&
				fields["chat_id"] != "" && fields["conversation_id"] != "" && fields["logid"] != "" && fields["asked_at"] == ""
		})
		if r := l.wait(id); r.Status != results.Completed || r.Error != nil || l.fake.Accepted() != 1 {
			t.Errorf("%+v, error %+v", r, r.Error)
		}
		if fields, err := rdb.HGetAll(t.Context(), results.Key(id)).Result(); err != nil || fields["logid"] != "" {
			t.Errorf("of an answer there is a logid: %v, %v", fields, err)
		}
	})
}

// TestLookUpRefused has a chat that may have its answer, and a Coze that does not let it
// be looked up: the question is not invalid, and who asks it again is told.
func TestLookUpRefused(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t), cozetest.WithRules(cozetest.Rule{
		On: "retrieve", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4000},
	}))
	l.work()
	r := l.ask("refused [[mock:envelope]]")
	if r.Status != results.Failed || r.Error.Class != "permanent" || r.ChatID == "" || !r.PossibleDuplicate {
		t.Errorf("%+v, error %+v", r, r.Error)
	}
}

// TestChatWithoutConversation has a record that names a chat and no conversation, so that
// nobody can look it up.
func TestChatWithoutConversation(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	r := l.wait(l.enqueue(tasks.Ask("bot", "where?"), tasks.Options{ChatID: "7300000000000000009"}))
	if r.Status != results.Completed || !r.PossibleDuplicate || len(r.Warnings) != 1 {
		t.Errorf("%+v, error %+v", r, r.Error)
	}
}

// TestUnseen has the reply be of another chat, or of one that it does not name, and a
// conversation that cannot tell whether the question was taken: it is asked again, with a mark.
func TestUnseen(t *testing.T) {
	t.Parallel()
	const piece = "event:conversation.message.delta\n" + `data:{"id":"3","type":"answer","content":"a piece"}` + "\n\n"
	replies := map[string]string{
		"another chat": "event:conversation.message.completed\n" +
			`data:{"id":"3","chat_id":"2","conversation_id":"1","role":"assistant","type":"answer","content":"theirs"}` + "\n\n" +
			"event:conversation.chat.completed\n" + `data:{"id":"2","conversation_id":"1","status":"completed"}` + "\n\n",
		"a piece":              piece,
		"a piece and an error": piece + "event:error\n" + `data:{"code":5000,"msg":"internal"}` + "\n\n",
		"an end":               unnamedEnd,
	}
	l := newLine(t, redistest.Embedded(t))
	l.work(func(c *worker.Config) {
		c.Coze.HTTP = &http.Client{Transport: &unseen{RoundTripper: c.Coze.HTTP.Transport, replies: replies}}
	})
	ids := make(map[string]string)
	for question := range replies {
		ids[question] = l.enqueue(tasks.Ask("bot", question), tasks.Options{})
	}
	for question, id := range ids {
		r := l.wait(id)
		if r.Status != results.Completed || !r.PossibleDuplicate || len(r.Warnings) != 1 || r.Answer == "theirs" {
			t.Errorf("%s: %+v, error %+v", question, r, r.Error)
		}
	}
}

// TestUnnamedEnd has a chat complete in a stream that has neither its id nor its answer: it
// is found in its conversation, and read there.
func TestUnnamedEnd(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work(func(c *worker.Config) {
		c.Coze.HTTP = &http.Client{Transport: &unseen{
			RoundTripper: c.Coze.HTTP.Transport, replies: map[string]string{"which?": unnamedEnd}, taken: true,
		}}
	})
	r := l.ask("which?")
	if r.Status != results.Completed || r.PossibleDuplicate || r.ChatID == "" || r.ConversationID == "" || l.fake.Accepted() != 1 {
		t.Errorf("%+v, error %+v, %d chats", r, r.Error, l.fake.Accepted())
	}
}

const unnamedEnd = "event:conversation.chat.completed\n" + `data:{"status":"completed","usage":{"token_count":5}}` + "\n\n"

// unseen answers the first ask of each question with a stream of its own, and has Coze take
// the question or not.
type unseen struct {
	http.RoundTripper
	replies map[string]string
	taken   bool
	asked   sync.Map
}

func (u *unseen) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/v3/chat" {
		return u.RoundTripper.RoundTrip(r)
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	reply := ""
	for question, events := range u.replies {
		if bytes.Contains(content, []byte(`"content":"`+question+`"`)) {
			reply = events
		}
	}
	if _, again := u.asked.LoadOrStore(reply, true); again || reply == "" {
		return u.RoundTripper.RoundTrip(r)
	}
	if u.taken {
		resp, err := u.RoundTripper.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return nil, err
		}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(reply)),
	}, nil
}
