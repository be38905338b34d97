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
	d.timer = time.AfterFunc(time.Hour, d.flush)
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

// flush publishes what has come.
func (d *deltaWriter) flush() {
	more, err := d.send(d.ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil:
		d.schedule(deltaAgain)
	case more:
		d.schedule(deltaEvery)
	}
}

// send publishes a piece, and reports whether there is more by now. A piece that could not be published is sent again as it
// was, so that the stream has it once (record.Attempt.Delta), and before all others.
func (d *deltaWriter) send(ctx context.Context) (more bool, err error) {
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
		return false, nil
	}
	err = d.rec.Delta(ctx, record.Delta{Type: record.DeltaText, Text: d.unsent})
	if err == nil || errors.Is(err, record.ErrFenced) {
		d.unsent, err = "", nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Len() > 0, err
}

// finish publishes what is left. After an error it may be called again: a Redis that was away at the end of the stream must
// have all pieces before it has the end of the task, or a watcher would miss some without a word.
func (d *deltaWriter) finish(ctx context.Context) error {
	if d == nil {
		return nil
	}
	for {
		if more, err := d.send(ctx); err != nil || !more {
			return err
		}
	}
}

// close ends the timer and publishes what is left, if Redis takes it now.
func (d *deltaWriter) close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.closed = true
	d.timer.Stop()
	d.mu.Unlock()
	_ = d.finish(d.ctx) // attempt.end does it again
}
