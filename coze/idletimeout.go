package coze

import (
	"io"
	"time"
)

// pulse is a body with a timer that ends it when nothing comes of it for too long. Bytes are not enough: the timer
// starts anew at a read only if an event came since the last one. One reset a read costs 50 ns, one an event would cost
// that for each of ten deltas.
type pulse struct {
	io.ReadCloser
	timer *time.Timer
	idle  time.Duration
	again bool // start anew at the next read
}

func (p *pulse) Read(b []byte) (int, error) {
	if p.again {
		p.again = false
		p.timer.Reset(p.idle)
	}
	return p.ReadCloser.Read(b)
}

// stop holds the timer until a read starts it anew.
func (p *pulse) stop() {
	p.timer.Stop()
}

// rest gives the body d more, whatever comes.
func (p *pulse) rest(d time.Duration) {
	p.again = false
	p.timer.Reset(d)
}
