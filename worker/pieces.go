package worker

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/record"
)

// startOver has readers of a broken stream's deltas begin again with what the chat has said.
func (a *attempt) startOver(ctx context.Context, chat *coze.Chat) error {
	if !a.chat.Stream {
		return nil
	}
	if err := a.publishAnew(ctx, chat.Answer()); err != nil {
		return err
	}
	a.deltas = newDeltaWriter(ctx, a.rec, a.publisher, true)
	if answers := chat.Answers(); len(answers) > 0 {
		a.deltas.answer.message = answers[len(answers)-1].ID
	}
	return nil
}

// publishAnew makes the readers of the task's pieces start over with this text.
func (a *attempt) publishAnew(ctx context.Context, text string) error {
	a.deltas = nil
	err := a.rec.Delta(ctx, record.Delta{Type: record.DeltaReset})
	if err == nil && text != "" {
		err = a.rec.Delta(ctx, record.Delta{Type: record.DeltaText, Text: text})
	}
	return err
}

// announce tells those who watch the answer that the record's status has changed.
func (a *attempt) announce(ctx context.Context, c redis.Cmdable) {
	if a.chat != nil && a.chat.Stream {
		_ = record.Announce(ctx, c, a.id) // they read the record now and then anyway
	}
}
