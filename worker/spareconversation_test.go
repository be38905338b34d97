package worker_test

import (
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestSpareConversation asks a bot five questions whose answers are watched. From the third on they are asked in conversations
// that were made while the one before was answered. When Coze has refused to make one, the next question makes its own.
func TestSpareConversation(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	defer l.work()()
	seen := map[string]bool{}
	for i, calls := range []int{
		1, // its own
		3, // its own, and a spare one
		4, // has the spare one; to make another is refused
		6, // its own, and a spare one
		7, // has the spare one, and makes another
	} {
		if i == 2 {
			l.rules(cozetest.Rule{On: "conversation", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 5000}})
		}
		chat := tasks.Ask("7460", "why?")
		chat.Stream = true
		r := l.wait(l.enqueue(chat, tasks.Options{}))
		if r.Status != results.Completed || r.Attempts != 1 || seen[r.ConversationID] {
			t.Fatalf("question %d: %s after %d attempts in conversation %s, want completed after 1 in one of its own", i, r.Status, r.Attempts, r.ConversationID)
		}
		seen[r.ConversationID] = true
		awaittest.Until(t, "the conversations", func() bool { return l.fake.Calls("/v1/conversation/create") == calls })
	}
}
