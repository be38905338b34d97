package worker

import (
	"context"

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
	p.deltas = newDeltaWriter(ctx, p.rec, p.publisher, p.payload.Stream)
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
