package worker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/record"
)

// pieces are what the task's watchers see of its answer while it is written, if the task wants that.
type pieces struct {
	*task
	publisher *publisher
	deltas    *deltaWriter // of the stream that was read to its end; nil: there was none, or no pieces are wanted
}

// start begins with the pieces of a stream.
func (p *pieces) start(ctx context.Context) {
	p.deltas = nil
	if p.payload.Stream {
		p.deltas = &deltaWriter{ctx: ctx, rec: p.rec, publisher: p.publisher}
	}
}

// startOver has readers of a broken stream's deltas begin again with what the chat has said.
func (p *pieces) startOver(ctx context.Context, chat *coze.Chat) error {
	if !p.payload.Stream {
		return nil
	}
	if err := p.publishAnew(ctx, chat.Answer()); err != nil {
		return err
	}
	p.start(ctx)
	if answers := chat.Answers(); len(answers) > 0 {
		p.deltas.answer.message = answers[len(answers)-1].ID
	}
	return nil
}

// publishAnew makes the readers of the task's pieces start over with this text.
func (p *pieces) publishAnew(ctx context.Context, text string) error {
	p.deltas = nil
	err := p.reset(ctx)
	if err == nil && text != "" {
		err = p.rec.Delta(ctx, record.Delta{Type: record.DeltaText, Text: text})
	}
	return err
}

// reset makes them forget what they have.
func (p *pieces) reset(ctx context.Context) error {
	return p.rec.Delta(ctx, record.Delta{Type: record.DeltaReset})
}

// tellStatus tells those who watch the answer that the record's status has changed.
func (p *pieces) tellStatus(ctx context.Context, c redis.Cmdable) {
	if p.payload != nil && p.payload.Stream {
		_ = record.Announce(ctx, c, p.id) // they read the record now and then anyway
	}
}

// deltaEvery is the least time between two publications. The first piece of an answer goes out at once, what comes after it is
// collected. Fifteen a second read as fluently as every token by itself, and an answer of 1,200 deltas costs Redis a tenth of
// the writes.
const deltaEvery = 65 * time.Millisecond

// deltaAgain is the time before a piece is sent again that could not be published.
const deltaAgain = time.Second

// deltaWriter publishes an answer and the reasoning before it as they come. A nil deltaWriter publishes nothing.
type deltaWriter struct {
	ctx       context.Context
	rec       *record.Attempt
	publisher *publisher

	publish sync.Mutex   // one publication at a time, in order
	unsent  record.Delta // a piece that Redis may not have got; without text: none

	mu        sync.Mutex
	reasoning collected // what is of both goes out first
	answer    collected
	pending   bool      // somebody will publish what is collected
	last      time.Time // the last publication
	closed    bool
}

// collected is text that is to be published.
type collected struct {
	text    strings.Builder
	message string // id of the message that was written last
}

func (c *collected) add(message, text string) {
	if text == "" {
		return
	}
	if c.message != "" && c.message != message {
		c.text.WriteString("\n") // as Chat.Answer and Chat.Reasoning join them
	}
	c.message = message
	c.text.WriteString(text)
}

func (d *deltaWriter) write(m *coze.Message) {
	if d == nil || m == nil || m.Type != coze.MessageAnswer || m.Content == "" && m.ReasoningContent == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reasoning.add(m.ID, m.ReasoningContent)
	d.answer.add(m.ID, m.Content)
	d.schedule(d.last.Add(deltaEvery))
}

// schedule has what has come published at that time. It is called with mu held.
func (d *deltaWriter) schedule(due time.Time) {
	if d.pending || d.closed {
		return
	}
	d.pending = true
	if time.Until(due) <= 0 {
		go d.flush() // alone: others would have it wait
	} else {
		d.publisher.add(d, due)
	}
}

// postpone schedules once more what could not be published when it was due.
func (d *deltaWriter) postpone() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending = false
	d.schedule(time.Now().Add(deltaEvery))
}

// flush publishes what has come.
func (d *deltaWriter) flush() { d.goOn(d.send(d.ctx)) }

// goOn schedules what is left behind a publication.
func (d *deltaWriter) goOn(more bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil:
		d.schedule(time.Now().Add(deltaAgain))
	case more:
		d.schedule(d.last.Add(deltaEvery))
	}
}

// send publishes a piece, and reports whether there is more by now.
func (d *deltaWriter) send(ctx context.Context) (more bool, err error) {
	d.publish.Lock()
	defer d.publish.Unlock()
	piece, ok := d.take()
	if !ok {
		return false, nil
	}
	return d.taken(d.rec.Delta(ctx, piece))
}

// take returns the piece that is to be published next. It is called with publish held, and so is taken, with the outcome.
func (d *deltaWriter) take() (piece record.Delta, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending, d.last = false, time.Now()
	if d.unsent.Text == "" {
		from := &d.answer.text
		d.unsent.Type = record.DeltaText
		if d.reasoning.text.Len() > 0 {
			from, d.unsent.Type = &d.reasoning.text, record.DeltaReasoning
		}
		d.unsent.Text = from.String()
		from.Reset()
	}
	return d.unsent, d.unsent.Text != ""
}

// taken reports whether there is more by now. A piece that could not be published is sent again as it was, so that the stream
// has it once (record.Attempt.Delta), and before all others.
func (d *deltaWriter) taken(err error) (bool, error) {
	if err == nil || errors.Is(err, record.ErrFenced) {
		d.unsent, err = record.Delta{}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.answer.text.Len()+d.reasoning.text.Len() > 0, err
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

// open takes text again after close: of the next stream of the same chat.
func (d *deltaWriter) open() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed, d.pending = false, false
}

// close publishes what is left, if Redis takes it now.
func (d *deltaWriter) close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.publisher.remove(d)
	_ = d.finish(d.ctx) // attempt.end does it again
}
