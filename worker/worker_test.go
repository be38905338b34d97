package worker_test

import (
	"testing"

	"github.com/cozeq/cozeq/results"
)

func TestAnswer(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.work()
		r := l.ask("what is the capital of France?")
		if r.Status != results.Completed || r.Answer == "" || r.Attempts != 1 {
			t.Fatalf("got %+v", r)
		}
		t.Logf("%+v %+v", r, r.Usage)
		if n := l.fake.Accepted(); n != 1 {
			t.Errorf("%d chats, want 1", n)
		}
	})
}
