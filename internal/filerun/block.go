package filerun

import (
	"context"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// A conversation whose turn failed is over for this run where tasks.TurnBlock says
// so: its later turns would wait for somebody to decide, and a run that waits for
// that never ends. They end as canceled; --retry-failed asks them all again, the
// failed one first.

// block ends the later turns of a failed row's conversation.
func (r *run) block(ctx context.Context, failed *input.Row, id string) error {
	lane := failed.Chat.Lane()
	if failed.Chat.OnTurnFailure != tasks.TurnBlock || lane == "" {
		return nil
	}
	var later []string
	r.mu.Lock()
	r.blocked[lane] = true
	for id, f := range r.flights {
		if f.queued && f.row.N > failed.N && f.row.Chat.Lane() == lane {
			later = append(later, id)
		}
	}
	r.mu.Unlock()
	// The failed one last: then the lane is free, and nobody is left to take its turn.
	for _, id := range append(later, id) {
		if _, err := r.Tasks.Cancel(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// isBlocked reports whether a row is a later turn of a conversation that is over.
func (r *run) isBlocked(row *input.Row) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blocked[row.Chat.Lane()]
}

// notAsked is the record of a row that was never enqueued.
func notAsked(id string, row *input.Row) *results.Result {
	return &results.Result{
		ID: id, Status: results.Canceled,
		Error: &results.Failure{
			Class:   "canceled",
			Message: "an earlier turn of its conversation failed",
			Hint:    "ask both again with --retry-failed",
		},
		BotID: row.Chat.BotID, ConversationID: row.Chat.ConversationID, ConversationKey: row.Chat.ConversationKey,
		CompletedAt: results.At(time.Now()),
	}
}
