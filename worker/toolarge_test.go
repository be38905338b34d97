package worker_test

import (
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/worker"
)

// TestAnswerTooLarge keeps what there is of an answer over the limit, and says what raises it.
func TestAnswerTooLarge(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	stop := l.work()
	const question = "much [[mock:size=9000000]]"
	r := l.ask(question)
	if r.Status != results.Failed || r.ChatID == "" || r.ConversationID == "" || r.Error.LogID == "" || r.Usage == nil ||
		!r.PossibleDuplicate || r.Attempts != 1 || l.fake.Accepted() != 1 {
		t.Errorf("%d bytes, %d asks, error %+v", len(r.Answer), l.fake.Accepted(), r.Error)
	}
	if len(r.Answer) < 7<<20 || !strings.HasPrefix(r.Answer, "Mock answer to") {
		t.Errorf("%d bytes are kept", len(r.Answer))
	}
	if !strings.Contains(r.Error.Hint, "--max-answer") {
		t.Errorf("hint %q", r.Error.Hint)
	}
	stop()
	l.work(func(c *worker.Config) { c.Coze.MaxEvent = 16 << 20 })
	if r := l.ask(question); r.Status != results.Completed || len(r.Answer) != 9_000_000 || len(r.Warnings) != 0 {
		t.Errorf("%s, %d bytes, warnings %q, error %+v", r.Status, len(r.Answer), r.Warnings, r.Error)
	}
}
