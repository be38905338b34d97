package worker_test

import (
	"testing"

	"github.com/cozeq/cozeq/tasks"
)

// TestMovedConversation goes on where Coze moved the conversation to.
func TestMovedConversation(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
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
