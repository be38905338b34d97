package worker_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/tasks"
)

// TestMovedConversation goes on where Coze moved the conversation to.
func TestMovedConversation(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb)
		l.work()
		var conversations []string
		for _, question := range []string{"one", "two [[mock:move]]", "three"} {
			chat := tasks.Ask("bot", question)
			chat.ConversationKey = "talk"
			conversations = append(conversations, l.wait(l.enqueue(chat, tasks.Options{})).ConversationID)
		}
		if conversations[0] == conversations[1] || conversations[1] != conversations[2] {
			t.Errorf("conversations %q", conversations)
		}
	})
}
