package filerun

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redisretry"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// feedChunk is how many rows are enqueued together, at most: see tasks.Client.EnqueueAll.
const feedChunk = 250

// feed enqueues the rows that are due, in the order of the input, as the window allows. The order of enqueueing is the
// order of turns in a conversation.
//
// Rows go to Redis in chunks, but none waits for its chunk to be full: what the window has room for now goes now.
func (r *run) feed(ctx context.Context) error {
	chunk := make([]*flight, 0, feedChunk)
	flush := func() error {
		err := r.enqueue(ctx, chunk)
		clear(chunk)
		chunk = chunk[:0]
		return err
	}
	for row, err := range r.due(ctx, flush) {
		if err != nil {
			return err
		}
		if row.Chat.Lane() != "" {
			r.openWindow()
		}
		select {
		case r.window <- struct{}{}:
		default:
			if err := flush(); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case r.window <- struct{}{}:
			}
		}
		f := &flight{row: row, id: r.journal.TaskID(row.N)}
		r.mu.Lock()
		r.flights[f.id] = f
		r.mu.Unlock()
		if why := r.notToBeAsked(row); why != nil {
			if err := r.record(ctx, why(f.id, row)); err != nil {
				return err
			}
			continue
		}
		if chunk = append(chunk, f); len(chunk) == feedChunk {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// notToBeAsked returns what a row's record says that is not enqueued; nil for one that is.
func (r *run) notToBeAsked(row *input.Row) func(id string, row *input.Row) *results.Result {
	switch {
	case row.Wrong != "":
		return notInOrder
	case r.isCanceled():
		return canceledHere
	case r.lost[row.N] != nil:
		return r.lost[row.N].record
	case r.isBlocked(row):
		return notAsked
	}
	return nil
}

// enqueue puts rows into the queue, in their order, and waits for their results.
func (r *run) enqueue(ctx context.Context, chunk []*flight) error {
	if len(chunk) == 0 {
		return nil
	}
	r.mu.Lock()
	begun := r.fedAny
	r.mu.Unlock()
	recorded := false
	err := redisretry.Do(ctx, begun, func() error {
		if err := r.tellFed(ctx, chunk[len(chunk)-1].row.N); err != nil {
			return err
		}
		if recorded = r.isCanceled(); recorded {
			return nil
		}
		return r.tryEnqueue(ctx, chunk)
	})
	if err != nil {
		return err
	}
	if recorded {
		return r.recordAll(ctx, chunk, canceledHere)
	}
	r.mu.Lock()
	r.fedAny = true
	for _, f := range chunk {
		f.queued = true
	}
	r.mu.Unlock()
	for _, f := range chunk {
		if r.notToBeAsked(f.row) == nil {
			continue
		}
		// Since we looked.
		if _, err := r.Tasks.Cancel(ctx, f.id); err != nil && !errors.Is(err, results.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (r *run) tryEnqueue(ctx context.Context, chunk []*flight) error {
	items, ids := make([]tasks.Item, len(chunk)), make([]string, len(chunk))
	for i, f := range chunk {
		var err error
		if items[i], err = r.item(ctx, f); err != nil {
			return fmt.Errorf("row %d: %w", f.row.N, err)
		}
		ids[i] = f.id
	}
	// A row of an earlier run may still be in the queue, or have ended since: then it is only waited for.
	for i, e := range r.Tasks.EnqueueAll(ctx, items) {
		if e.Err != nil && !errors.Is(e.Err, tasks.ErrDuplicate) {
			return fmt.Errorf("row %d: %w", chunk[i].row.N, e.Err)
		}
	}
	return r.waiter.Add(ctx, ids...)
}

// recordAll writes down how rows end that are not enqueued.
func (r *run) recordAll(ctx context.Context, chunk []*flight, how func(id string, row *input.Row) *results.Result) error {
	for _, f := range chunk {
		if err := r.record(ctx, how(f.id, f.row)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) item(ctx context.Context, f *flight) (tasks.Item, error) {
	o := r.Options
	o.ID = f.id
	o.ConversationID, o.ChatID, o.AskedAt = "", "", time.Time{}
	if c, ok := r.journal.InFlight(f.row.N); ok {
		o.ConversationID, o.ChatID, o.AskedAt = c.ConversationID, c.ChatID, c.AskedAt.Time
	}
	o.PossibleDuplicate = r.journal.Doubtful(f.row.N) || f.lost // nobody knows whether it was asked
	if r.forgets() && o.Retention == 0 {
		o.Retention = -1
	}
	if err := r.nameConversation(ctx, f.row.Chat); err != nil {
		return tasks.Item{}, err
	}
	chat := *f.row.Chat
	if r.Batches != nil {
		o.Keep = max(o.Keep, batches.RunKeep)
		chat.BatchID = r.journal.RunID()
	}
	return tasks.Item{Chat: &chat, Options: o}, nil
}

// nameConversation makes a conversation_key mean what it meant in the earlier run, whose Redis may be gone.
func (r *run) nameConversation(ctx context.Context, c *tasks.Chat) error {
	if c.ConversationKey == "" {
		return nil
	}
	id, err := r.journal.Conversation(c.BotID, c.ConversationKey)
	if err != nil || id == "" {
		return err
	}
	if _, err := r.Conversations.Name(ctx, c.BotID, c.ConversationKey, id); err != nil {
		return err
	}
	r.journal.Settle(c.BotID, c.ConversationKey)
	return nil
}
