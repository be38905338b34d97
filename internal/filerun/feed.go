package filerun

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/redisretry"
	"github.com/cozeq/cozeq/internal/runbatch"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// feedChunk is how many rows are enqueued together, at most: see tasks.Client.EnqueueAll.
const feedChunk = 250

// feed enqueues the selected rows as the window allows, in the order of the input, which is the order of turns in a
// conversation. Rows go to Redis in chunks, but none waits for its chunk to be full: a full window sends what there is.
func (r *run) feed(ctx context.Context) error {
	chunk, uploads := make([]*openRow, 0, feedChunk), 0
	flush := func() error {
		rows := chunk
		if uploads > 0 {
			var err error
			if rows, err = r.upload(ctx, chunk); err != nil {
				return err
			}
		}
		err := r.enqueue(ctx, rows)
		clear(chunk)
		chunk, uploads = chunk[:0], 0
		return err
	}
	for o, err := range r.selected(ctx, flush) {
		if err != nil {
			return err
		}
		if err := r.window.add(ctx, o, flush); err != nil {
			return err
		}
		if res := r.unasked(o); res != nil {
			if err := r.record(ctx, res); err != nil {
				return err
			}
			continue
		}
		if len(o.row.Paths()) > 0 {
			uploads++
		}
		if chunk = append(chunk, o); len(chunk) == feedChunk || uploads == attachment.Concurrency {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// enqueue puts rows into the queue, in their order, and waits for their results.
func (r *run) enqueue(ctx context.Context, rows []*openRow) error {
	if len(rows) == 0 {
		return nil
	}
	r.mu.Lock()
	begun := r.enqueued
	r.mu.Unlock()
	canceled := false
	err := redisretry.Do(ctx, begun, func() error {
		if err := r.noteFed(ctx, rows[len(rows)-1].row.N); err != nil {
			return err
		}
		if canceled = r.shared.isCanceled(); canceled {
			return nil
		}
		return r.tryEnqueue(ctx, rows)
	})
	if err != nil {
		return err
	}
	if canceled {
		for _, o := range rows {
			if err := r.record(ctx, canceledWithBatch(o)); err != nil {
				return err
			}
		}
		return nil
	}
	r.window.setQueued(rows)
	r.mu.Lock()
	r.enqueued = true
	r.mu.Unlock()
	for _, o := range rows {
		if r.unasked(o) == nil {
			continue
		}
		// It was canceled or blocked in the meantime.
		if _, err := r.job.Tasks.Cancel(ctx, o.id); err != nil && !errors.Is(err, results.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (r *run) tryEnqueue(ctx context.Context, rows []*openRow) error {
	items, ids := make([]tasks.Item, len(rows)), make([]string, len(rows))
	for i, o := range rows {
		var err error
		if items[i], err = r.item(ctx, o); err != nil {
			return fmt.Errorf("row %d: %w", o.row.N, err)
		}
		ids[i] = o.id
	}
	// A row of an earlier run may still be in the queue, or have ended since: then it is only waited for.
	for i, e := range r.job.Tasks.EnqueueAll(ctx, items) {
		if e.Err != nil && !errors.Is(e.Err, tasks.ErrDuplicate) {
			return fmt.Errorf("row %d: %w", rows[i].row.N, e.Err)
		}
	}
	return r.waiter.Add(ctx, ids...)
}

func (r *run) item(ctx context.Context, open *openRow) (tasks.Item, error) {
	o, row := r.job.Options, open.row
	o.ID = open.id
	o.ConversationID, o.ChatID, o.AskedAt, o.Tools = "", "", time.Time{}, nil
	if c, ok := r.journal.InFlight(row.N); ok {
		o.ConversationID, o.ChatID, o.AskedAt, o.Tools = c.ConversationID, c.ChatID, c.AskedAt.Time, c.Tools
	}
	o.PossibleDuplicate = r.journal.Doubtful(row.N) || open.lost // it may have been asked
	if r.releaser != nil && o.Retention == 0 {
		o.Retention = -1
	}
	if err := r.nameConversation(ctx, row.Chat); err != nil {
		return tasks.Item{}, err
	}
	chat := *row.Chat
	if r.shared != nil {
		o.Keep = max(o.Keep, runbatch.Keep)
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
	if _, err := r.job.Conversations.Name(ctx, c.Holder(), c.ConversationKey, id); err != nil {
		return err
	}
	r.journal.Settle(c.BotID, c.ConversationKey)
	return nil
}
