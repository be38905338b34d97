package batches

import (
	"context"
	"errors"
	"fmt"

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/tasks"
)

// Add enqueues a chunk of a batch's rows. It also keeps what it takes to retry them and to write their output. A chunk is
// ChunkRows rows, of which the first follows Status.Enqueued; the last chunk may be shorter. Add may be repeated after any
// error. A row that cannot be asked is a *tasks.InvalidError. If the batch was canceled, Add returns ErrCanceled and no row
// of the chunk is asked.
func (c *Client) Add(ctx context.Context, id string, rows []Row) error {
	b, err := c.detached(ctx, id)
	if err != nil {
		return err
	}
	if !b.CanceledAt.IsZero() {
		return fmt.Errorf("%s: %w", id, ErrCanceled)
	}
	if err := checkChunk(rows, b.Rows); err != nil {
		return err
	}
	// The rows first: a task whose row is not kept could not be retried.
	if err := c.keep(ctx, id, rows); err != nil {
		return err
	}
	items := make([]tasks.Item, len(rows))
	for i := range rows {
		items[i] = c.item(b, &rows[i])
	}
	if err := c.enqueue(ctx, rows, items); err != nil {
		return err
	}
	switch there, canceled, err := c.tally.NoteEnqueued(ctx, id, rows[len(rows)-1].N); {
	case err != nil:
		return err
	case !there:
		return fmt.Errorf("%s: %w", id, ErrNotFound)
	case !canceled:
		return nil
	}
	// Cancel came after the look at CanceledAt and may have missed these rows.
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = items[i].Options.ID
	}
	if err := c.cancelTasks(ctx, id, ids); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", id, ErrCanceled)
}

// blocks reports whether a row keeps its conversation waiting if it fails.
func blocks(row Row) bool { return row.Chat.OnTurnFailure == tasks.TurnBlock && row.Chat.Lane() != "" }

// enqueue puts the items of rows into the queue. Rows that are there already are left alone.
func (c *Client) enqueue(ctx context.Context, rows []Row, items []tasks.Item) error {
	for i, e := range c.tasks.EnqueueAll(ctx, items) {
		if e.Err != nil && !errors.Is(e.Err, tasks.ErrDuplicate) {
			return fmt.Errorf("row %d: %w", rows[i].N, e.Err)
		}
	}
	return nil
}

func (c *Client) item(b *Status, row *Row) tasks.Item {
	chat := *row.Chat
	chat.BatchID, chat.CustomID, chat.Tenant = b.ID, row.CustomID, b.Tenant
	if chat.ExpiresAt.IsZero() || row.Attempt > 1 { // a retry sets the batch's
		chat.ExpiresAt = b.ExpiresAt
	}
	return tasks.Item{Chat: &chat, Options: tasks.Options{
		ID: row.TaskID(b.ID), Queue: b.Queue, Attempts: b.Attempts, Timeout: b.Timeout,
		Keep:      max(tally.OpenTTL, b.Keep), // as long as the batch may be open; the sweep shortens it
		Retention: -1,                         // what asynq would keep of a completed task is in the batch
		InBatch:   true,
	}}
}
