package worker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/record"
)

// deltaEvery is the least time between two publications. The first piece of an answer goes out at once, what comes after it is
// collected. Twenty a second read as fluently as every token by itself, and an answer of 1,200 deltas costs Redis a tenth of
// the writes.
const deltaEvery = 50 * time.Millisecond

// deltaAgain is the time before a piece is sent again that could not be published.
const deltaAgain = time.Second

// deltaWriter publishes the text of an answer as it comes. A nil deltaWriter publishes nothing.
type deltaWriter struct {
	ctx context.Context
	rec *record.Attempt

	publish sync.Mutex // one publication at a time, in order
	unsent  string     // a piece that Redis may not have got

	mu      sync.Mutex
	text    strings.Builder
	message string // id of the message that was written last
	timer   *time.Timer
	pending bool      // the timer runs
	last    time.Time // the last publication
	closed  bool
}

func newDeltaWriter(ctx context.Context, rec *record.Attempt, wanted bool) *deltaWriter {
	if !wanted {
		return nil
	}
	d := &deltaWriter{ctx: ctx, rec: rec}
	d.timer = time.AfterFunc(time.Hour, func() { d.flush() })
	d.timer.Stop()
	return d
}

func (d *deltaWriter) write(m *coze.Message) {
	if d == nil || m == nil || m.Type != coze.MessageAnswer || m.Content == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.message != "" && d.message != m.ID {
		d.text.WriteString("\n") // as Chat.Answer joins them
	}
	d.message = m.ID
	d.text.WriteString(m.Content)
	d.schedule(deltaEvery - time.Since(d.last))
}

// schedule has the timer flush, unless it will by itself. It is called with mu held.
func (d *deltaWriter) schedule(after time.Duration) {
	if !d.pending && !d.closed {
		d.pending = true
		d.timer.Reset(max(0, after))
	}
}

// flush publishes what has come, one piece of it, and reports whether there is more that can be published now. A piece that
// could not be published is sent again as it was, so that the stream has it once (record.Attempt.Delta), and before all others.
// If it cannot be published until the stream ends it is lost; the result holds the answer.
func (d *deltaWriter) flush() (more bool) {
	d.publish.Lock()
	defer d.publish.Unlock()
	d.mu.Lock()
	d.pending, d.last = false, time.Now()
	if d.unsent == "" {
		d.unsent = d.text.String()
		d.text.Reset()
	}
	d.mu.Unlock()
	if d.unsent == "" {
		return false
	}
	err := d.rec.Delta(d.ctx, record.Delta{Type: record.DeltaText, Text: d.unsent})
	if err == nil || errors.Is(err, record.ErrFenced) {
		d.unsent = ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch more = d.text.Len() > 0; {
	case d.unsent != "":
		d.schedule(deltaAgain)
		return false
	case more:
		d.schedule(deltaEvery)
	}
	return more
}

func (d *deltaWriter) close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.closed = true
	d.timer.Stop()
	d.mu.Unlock()
	for d.flush() {
	}
}
