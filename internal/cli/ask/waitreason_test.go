package ask

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/worker"
)

// A wait of no length has no number, and who has given up hears of no further attempt.
func TestWaitReason(t *testing.T) {
	var out bytes.Buffer
	w := &waitReason{streams: &terminal.Streams{Err: &out}}
	stop := w.start(t.Context(), &session.Session{}, "id")
	retry := worker.Verdict{Action: worker.Retry, Err: errors.New("cut"), Class: coze.ClassTransient}
	w.verdict(retry)
	retry.Class, retry.After = coze.ClassTimeout, 2*time.Second
	w.verdict(retry)
	stop()
	retry.Class = coze.ClassBusy
	w.verdict(retry)
	if want := "cozeq: waiting: cut; asked again at once\ncozeq: waiting: cut; asked again in 2s\n"; out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
}
