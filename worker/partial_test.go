package worker_test

import (
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestPartialAnswer wants what a bot said before its chat ended without completing to be in
// the record, also where another attempt has ended the task.
func TestPartialAnswer(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.work()
		for question, want := range map[string]string{
			"failed [[mock:fail=4014 after=6 answer=abcdefgh]]":                                                 "abcd",
			"failed, then refused [[mock:fail=5000 after=6 times=1 answer=abcdefgh]] [[mock:code=4000]]":        "abcd",
			"failed, and again with less [[mock:fail=5000 after=6 times=1 answer=abcdefgh]] [[mock:fail=4014]]": "",
			"canceled [[mock:cut=6 then=canceled answer=abcdefgh]]":                                             "abcd",
			"cut, and failed [[mock:cut=6 then=failed code=4014 answer=abcdefgh]]":                              "abcd",
			"waits for tools [[mock:action]]":                                                                   "",
		} {
			r := l.wait(l.enqueue(tasks.Ask("bot", question), tasks.Options{Attempts: 2}))
			if r.Status != results.Failed || r.Answer != want || r.ChatID == "" {
				t.Errorf("%s: %+v, error %+v", question, r, r.Error)
			}
		}
		// What failed once leaves nothing behind in an answer.
		r := l.ask("failed, then a card [[mock:fail=5000 after=6 times=1 answer=abcdefgh reasoning]] [[mock:type=card]]")
		if r.Status != results.Completed || r.ContentType != "card" || !strings.HasPrefix(r.Answer, "Mock answer") || r.Reasoning != "" {
			t.Errorf("%+v, error %+v", r, r.Error)
		}
		if fields := l.rdb.HGetAll(t.Context(), results.Key(r.ID)).Val(); fields["reasoning"] != "" || fields["content_type"] != "card" {
			t.Errorf("%v", fields)
		}
	})
}

// TestAskBack has a bot that wants to know more: what it asks is in the record, and the next
// turn of the conversation answers it, also where a look-up found it.
func TestAskBack(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	for _, question := range []string{
		"weather? [[mock:ask_back answer=Where?]]",
		"weather? [[mock:ask_back answer=Where? lines=comments]]",
	} {
		chat := tasks.Ask("bot", question)
		chat.ConversationKey = question
		r := l.wait(l.enqueue(chat, tasks.Options{}))
		if r.Status != results.Completed || r.Error != nil || r.Answer != "Where?" || r.AsksBack != "Where?" || r.Attempts != 1 {
			t.Errorf("%+v, error %+v", r, r.Error)
		}
		next := tasks.Ask("bot", "here")
		next.ConversationKey = question
		if n := l.wait(l.enqueue(next, tasks.Options{})); n.Status != results.Completed || n.AsksBack != "" || n.ConversationID != r.ConversationID {
			t.Errorf("the reply: %+v, error %+v", n, n.Error)
		}
	}
	// A look-up finds the same.
	r := l.ask("alone [[mock:ask_back answer=Where?]]")
	found := l.wait(l.enqueue(tasks.Ask("bot", "alone"), tasks.Options{ConversationID: r.ConversationID, ChatID: r.ChatID}))
	if found.Status != results.Completed || found.Answer != "Where?" || found.AsksBack != "Where?" ||
		found.ConversationID != r.ConversationID || found.ChatID != r.ChatID {
		t.Errorf("%+v, error %+v", found, found.Error)
	}
}

// TestTypedAnswer keeps what is not text, with its type.
func TestTypedAnswer(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	r := l.ask("a card [[mock:type=card answer={}]]")
	if r.Status != results.Completed || r.Answer != "{}" || r.ContentType != string(coze.ContentCard) || r.Parts != nil {
		t.Errorf("%+v", r)
	}
	r = l.ask("three [[mock:type=audio answer=a answers=3]]")
	if r.Answer != "a\na (2 of 3)\na (3 of 3)" || r.ContentType != "audio" || len(r.Parts) != 3 || r.Parts[1] != (results.Part{ContentType: "audio", Content: "a (2 of 3)"}) {
		t.Errorf("%+v", r)
	}
	if again, err := l.store.Get(t.Context(), r.ID); err != nil || len(again.Parts) != 3 {
		t.Errorf("%+v, %v", again, err)
	}
}
