package worker_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

const chatflowPath = "/v1/workflows/chat"

// chatflow is the task of asking a chatflow of an app.
func chatflow(question string) *tasks.Chat {
	chat := tasks.AskChatflow("73664689170551", question)
	chat.AppID = "7439828073"
	return chat
}

// TestChatflow: a chatflow is asked like a bot, also if its question is kept apart from the payload.
func TestChatflow(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb)
		l.work()
		streamed := chatflow("Why?")
		streamed.Stream, streamed.Parameters, streamed.UserID = true, map[string]json.RawMessage{"days": json.RawMessage("3")}, "u1"
		long := chatflow(strings.Repeat("long ", 1000))
		withBot := tasks.AskChatflow("73664689170551", "Who?")
		withBot.BotID = "bot"
		for _, chat := range []*tasks.Chat{streamed, long, withBot} {
			r := l.wait(l.enqueue(chat, tasks.Options{}))
			if r.Status != results.Completed || r.Answer == "" || r.Usage == nil || r.ConversationID == "" || r.ChatID == "" || r.ExecuteID != "" ||
				r.DebugURL == "" || r.WorkflowID != chat.WorkflowID || r.BotID != chat.BotID || r.Attempts != 1 {
				t.Errorf("%+v %+v", r, r.Error)
			}
		}
		if n := l.fake.Calls(chatflowPath); n != 3 {
			t.Errorf("%d calls, want 3", n)
		}
	})
}

// TestChatflowConversation: turns of a conversation_key share a conversation, and the next turn answers a question back.
func TestChatflowConversation(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	turn := func(question string) *results.Result {
		chat := chatflow(question)
		chat.ConversationKey = "alice"
		return l.wait(l.enqueue(chat, tasks.Options{}))
	}
	first, second := turn("Weather? [[mock:ask_back]]"), turn("Berlin, today")
	if first.Status != results.Completed || first.AsksBack == "" || first.DebugURL == "" || first.AsksBack != first.Answer {
		t.Errorf("%+v %+v", first, first.Error)
	}
	if second.Status != results.Completed || second.AsksBack != "" || second.ConversationID != first.ConversationID {
		t.Errorf("%+v %+v", second, second.Error)
	}
}

// TestChatflowFaults asks a chatflow for each thing that can go wrong.
func TestChatflowFaults(t *testing.T) {
	t.Parallel()
	tool := func(context.Context, json.RawMessage) (string, error) { return "{}", nil }
	for _, tt := range []struct {
		question string
		status   results.Status
		class    string
		attempts int
		chats    int
		twice    bool // possible_duplicate
		rules    []cozetest.Rule
	}{
		{"rate [[mock:code=4013 times=1]]", results.Completed, "", 1, 1, false, nil},
		{"no such chatflow [[mock:code=720702011]]", results.Failed, "permanent", 1, 0, false, nil},
		{"failed, flat [[mock:fail_flat=720702204]]", results.Failed, "permanent", 1, 1, false, nil},
		{"taken, no reply [[mock:hangup created times=1]]", results.Completed, "", 1, 1, false, nil},
		{"cut [[mock:cut=3 times=1]]", results.Completed, "", 1, 1, false, nil},
		{"not looked up [[mock:cut=3 times=1]]", results.Completed, "", 2, 2, true,
			[]cozetest.Rule{{On: "retrieve", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4000}}}},
		{"tools are a bot's [[mock:action=tool]]", results.Failed, "action", 1, 1, false, nil},
	} {
		t.Run(tt.question, func(t *testing.T) {
			t.Parallel()
			l := newLine(t, redistest.Embedded(t), cozetest.With(cozetest.Config{Rules: tt.rules}))
			l.work(func(c *worker.Config) { c.Tools = map[string]worker.Tool{"tool": tool} })
			r := l.wait(l.enqueue(chatflow(tt.question), tasks.Options{Attempts: 3}))
			if r.Status != tt.status || r.Attempts != tt.attempts || r.PossibleDuplicate != tt.twice || l.fake.ByQuestion(tt.question) != tt.chats {
				t.Errorf("%+v %+v, %d chats", r, r.Error, l.fake.ByQuestion(tt.question))
			}
			if strings.HasPrefix(tt.question, "failed") && r.DebugURL == "" {
				t.Error("no debug_url")
			}
			if tt.class != "" && (r.Error == nil || r.Error.Class != tt.class) {
				t.Errorf("%+v, want class %s", r.Error, tt.class)
			}
		})
	}
}
