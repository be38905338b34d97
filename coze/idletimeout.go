package coze

import (
	"io"
	"time"
)

// idleTimeout is a body whose timer ends it after too long a silence. Bytes alone do not count: a read restarts the
// timer only if an event came since the last read. A reset costs 50 ns; one for each event would cost ten times as much
// as one for each read.
type idleTimeout struct {
	io.ReadCloser
	timer *time.Timer
	idle  time.Duration
	again bool // restart the timer at the next read
}

func (t *idleTimeout) Read(b []byte) (int, error) {
	if t.again {
		t.again = false
		t.timer.Reset(t.idle)
	}
	return t.ReadCloser.Read(b)
}

// stop holds the timer until a read restarts it.
func (t *idleTimeout) stop() {
	t.timer.Stop()
}

// rest ends the body after d, whatever comes.
func (t *idleTimeout) rest(d time.Duration) {
	t.again = false
	t.timer.Reset(d)
}
