package worker

import (
	"errors"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// TestUntracedCostsNothing goes through all that an attempt does for its spans.
func TestUntracedCostsNothing(t *testing.T) {
	var off *tracing
	a := &attempt{}
	err := errors.New("an error")
	chat := &coze.Chat{ID: "1"}
	began := time.Now()
	n := testing.AllocsPerRun(100, func() {
		s := off.begin(a)
		s.call("coze conversation/create").end(err)
		s.permit(began, err)
		ask := s.ask("c1")
		ask.created(chat)
		ask.end(nil, chat, err)
		s.call("look up").done(&err)
		s.step("find").done(&err)
		s.settling(Verdict{Action: Done}).settled(Verdict{}, Verdict{Err: err})
		s.end(Verdict{Err: err})
	})
	if n != 0 {
		t.Errorf("%v allocations for a task that is not traced, want none", n)
	}
}
