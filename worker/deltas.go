package worker

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/record"
)

// deltaEvery is how long deltas are collected before they are published. Twenty a second read as fluently as every token by
// itself, and an answer of 1,200 deltas costs Redis a tenth of the writes.
const deltaEvery = 50 * time.Millisecond

// deltaWriter publishes the text of an answer as it comes. A nil deltaWriter publishes nothing.
type deltaWriter struct {
	ctx context.Context
	rec *record.Attempt

	publish sync.Mutex // one publication at a time, in order
	mu      sync.Mutex
	text    strings.Builder
	message string // id of the message that was written last
	timer   *time.Timer
	pending bool
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
	if !d.pending {
		d.pending = true
		d.timer.Reset(deltaEvery)
	}
}

// flush publishes what has come. After an error some deltas are lost; the result holds the answer.
func (d *deltaWriter) flush() {
	d.publish.Lock()
	defer d.publish.Unlock()
	d.mu.Lock()
	text := d.text.String()
	d.text.Reset()
	d.pending = false
	d.mu.Unlock()
	if text != "" {
		_ = d.rec.Delta(d.ctx, record.Delta{Type: record.DeltaText, Text: text})
	}
}

func (d *deltaWriter) close() {
	if d == nil {
		return
	}
	d.timer.Stop()
	d.flush()
}
