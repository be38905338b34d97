package telemetry

import (
	"errors"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
)

// TestUntracedCostsNothing goes through all that an attempt does for its spans.
func TestUntracedCostsNothing(t *testing.T) {
	var off *Tracing
	r, client := &results.Result{}, &coze.Client{}
	err := errors.New("an error")
	chat := &coze.Chat{ID: "1"}
	began := time.Now()
	n := testing.AllocsPerRun(100, func() {
		s := off.Begin(r, "", began, true)
		s.Call("coze conversation/create", client).End(err)
		s.Permit(began, "error", err)
		ask := s.Ask(client, "bot", "c1")
		ask.Created(chat)
		ask.End(nil, chat, err)
		s.Call("look up", client).Done(&err)
		s.Step("publish").End(err)
		s.End(r, Outcome{Verdict: "done", Err: err})
	})
	if n != 0 {
		t.Errorf("%v allocations for a task that is not traced, want none", n)
	}
}
