package filerun

import (
	"context"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// unasked returns the record of a row that must not be asked; nil for all others.
func (r *run) unasked(o *openRow) *results.Result {
	switch {
	case o.row.Wrong != "":
		return ended(o, results.Failed, results.Failure{
			Class:   "invalid",
			Message: fmt.Sprintf("line %d: %s", o.row.Line, o.row.Wrong),
			Hint:    "Correct the line and send it again.",
		})
	case r.shared.isCanceled():
		return canceledWithBatch(o)
	case r.shared.lostRow(o.row.N) != nil:
		return r.shared.lostRow(o.row.N).record(o)
	case r.isBlocked(o.row):
		return ended(o, results.Canceled, results.Failure{
			Class:   "canceled",
			Message: "an earlier turn of its conversation failed",
			Hint:    "ask both again with --retry-failed",
		})
	}
	return nil
}

// ended is the record of a row that ends here and not in a worker.
func ended(o *openRow, status results.Status, failure results.Failure) *results.Result {
	chat := o.row.Chat
	return &results.Result{
		ID: o.id, Status: status, Error: &failure,
		BotID: chat.BotID, ConversationID: chat.ConversationID, ConversationKey: chat.ConversationKey,
		CompletedAt: results.At(time.Now()),
	}
}

// canceledWithBatch is the record of a row that was not enqueued before the batch was canceled.
func canceledWithBatch(o *openRow) *results.Result {
	return ended(o, results.Canceled, results.Failure{
		Class:   "canceled",
		Message: "canceled before it was asked",
		Hint:    "ask it with --retry-failed",
	})
}

// block ends the later turns of a failed row's conversation, where tasks.TurnBlock says so. They would wait for a decision
// that a run cannot wait for. They end as canceled; --retry-failed asks all of them again, the failed one first.
func (r *run) block(ctx context.Context, failed *input.Row, id string) error {
	lane := failed.Chat.Lane()
	if failed.Chat.OnTurnFailure != tasks.TurnBlock || lane == "" {
		return nil
	}
	r.mu.Lock()
	r.blocked[lane] = true
	r.mu.Unlock()
	var turns []string
	for _, o := range r.window.queued() {
		if o.row.N > failed.N && o.row.Chat.Lane() == lane {
			turns = append(turns, o.id)
		}
	}
	// The failed one goes last: then the lane is free, and no turn is left that could take its place.
	for _, id := range append(turns, id) {
		if _, err := r.job.Tasks.Cancel(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) isBlocked(row *input.Row) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blocked[row.Chat.Lane()]
}
