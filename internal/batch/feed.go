package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// feed enqueues the rows that have no record, in the order of the input, as the window allows. The order of enqueueing
// is the order of turns in a conversation.
func (r *run) feed(ctx context.Context) error {
	n := 0
	for row, err := range r.Input.Rows() {
		if err != nil {
			return fmt.Errorf("%s has changed while it was read: %w", r.Input.Name(), err)
		}
		if n++; n > r.total {
			break
		}
		if r.journal.ended(row.N) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case r.window <- struct{}{}:
		}
		f := &flight{row: row}
		id := r.journal.taskID(row.N)
		r.mu.Lock()
		r.flights[id] = f
		r.mu.Unlock()
		if r.isBlocked(row) {
			if err := r.record(ctx, notAsked(id, row)); err != nil {
				return err
			}
			continue
		}
		if err := r.enqueue(ctx, id, f, n > 1); err != nil {
			return err
		}
		if r.isBlocked(row) { // since we looked
			if _, err := r.Tasks.Cancel(ctx, id); err != nil && !errors.Is(err, results.ErrNotFound) {
				return err
			}
		}
	}
	if n != r.total {
		return fmt.Errorf("%s has changed while it was read: it had %d rows, now another number", r.Input.Name(), r.total)
	}
	return nil
}

// Redis may be away for a while, for a restart or a failover. A run that has begun waits so long for it.
const (
	patience   = 2 * time.Minute
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
)

// enqueue puts a row into the queue and waits for its result. A call of Enqueue that failed may be made again with the
// same id, so one that fails while Redis is away is; with patient unset, at the very first row, it is more probable
// that something is set up wrong, and waiting would only hide it.
func (r *run) enqueue(ctx context.Context, id string, f *flight, patient bool) error {
	giveUp := time.Now().Add(patience)
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := r.tryEnqueue(ctx, id, f)
		if err == nil {
			r.mu.Lock()
			f.queued = true
			r.mu.Unlock()
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, invalid := errors.AsType[*tasks.InvalidError](err); invalid || !patient || time.Now().After(giveUp) {
			return fmt.Errorf("row %d: %w", f.row.N, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

func (r *run) tryEnqueue(ctx context.Context, id string, f *flight) error {
	o := r.Options
	o.ID = id
	o.ConversationID, o.ChatID, o.AskedAt = "", "", time.Time{}
	if c, ok := r.journal.flight(f.row.N); ok {
		o.ConversationID, o.ChatID, o.AskedAt = c.ConversationID, c.ChatID, c.AskedAt.Time
	}
	if r.Forget && o.Retention == 0 {
		o.Retention = -1
	}
	if err := r.nameConversation(ctx, f.row.Chat); err != nil {
		return err
	}
	// A row of an earlier run may still be in the queue, or have ended since: then it is only waited for.
	if _, err := r.Tasks.Enqueue(ctx, f.row.Chat, o); err != nil && !errors.Is(err, tasks.ErrDuplicate) {
		return err
	}
	return r.waiter.Add(ctx, id)
}

// nameConversation makes a conversation_key mean what it meant in the earlier run, whose Redis may be gone.
func (r *run) nameConversation(ctx context.Context, c *tasks.Chat) error {
	if c.ConversationKey == "" {
		return nil
	}
	id, err := r.journal.conversation(c.BotID, c.ConversationKey)
	if err != nil || id == "" {
		return err
	}
	if _, err := r.Conversations.Name(ctx, c.BotID, c.ConversationKey, id); err != nil {
		return err
	}
	r.journal.settle(c.BotID, c.ConversationKey)
	return nil
}
