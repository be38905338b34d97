package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cozeq/cozeq/internal/queue"
	"github.com/cozeq/cozeq/results"
)

// Defaults of Options.
const (
	DefaultAttempts  = 5
	DefaultTimeout   = 15 * time.Minute
	DefaultRetention = time.Hour
)

// Options say how a task is enqueued. The zero value is ready to use.
type Options struct {
	// ID is the task's id everywhere: record, channel, asynqmon. Empty: a new UUID, version 7. With an id of the caller's
	// own Enqueue is idempotent.
	ID string

	// Queue is critical, default, low or any other queue that a worker serves. NAME/N is one of the N queues NAME-0 to
	// NAME-(N-1), see Shard. Empty: default.
	Queue string

	// Attempts is how often the question may be asked in all; 0 = 5. Waiting for a rate limit or a busy conversation does
	// not count.
	Attempts int

	// Timeout bounds one attempt, from its start to its end; 0 = 15 min.
	Timeout time.Duration

	// Keep is how long the result is kept after the end; 0 = the store's default, 24 h.
	Keep time.Duration

	// Retention is how long asynq shows the completed task; 0 = 1 h, negative = not at all.
	Retention time.Duration

	// ConversationID, ChatID and AskedAt take over a task that an earlier process has begun: the worker looks that chat up
	// before it asks. See record.Entry.
	ConversationID string
	ChatID         string
	AskedAt        time.Time

	// Tools goes with ChatID: what a worker has noted of the tools that the chat has called (worker.Progress), so that they run at
	// most once more.
	Tools json.RawMessage

	// Delay is how long after now the question is asked at the earliest. It doesn't go with a conversation, whose turns run
	// in order.
	Delay time.Duration

	// Digest is kept in the record. An id that exists with another digest belongs to another question: Enqueue then changes
	// nothing, and the caller finds the other digest in the record.
	Digest string

	// PossibleDuplicate marks the record from the start: an earlier task has asked the question, and its chat may have an
	// answer.
	PossibleDuplicate bool

	// InsteadOf is the id of a failed turn of the same conversation and Queue that keeps the conversation waiting: see
	// TurnBlock. The new task takes its place, in front of the turns that wait. Without InsteadOf it comes behind them. It
	// is ignored if the failed turn has left its place.
	InsteadOf string

	// InBatch is set by package batches for its rows: see record.Entry.
	InBatch bool
}

// Client puts tasks into the queue. It is safe for concurrent use.
type Client struct {
	queue   *queue.Queue
	streams streams
}

// NewClient returns a Client on the Redis of the store. If the store has Keys, questions are encrypted with them.
func NewClient(store *results.Store) *Client { return &Client{queue: queue.New(store)} }

// Results returns the store that the client was made with.
func (c *Client) Results() *results.Store { return c.queue.Results }

// Enqueue puts a chat into the queue and returns its id. An invalid chat is an *InvalidError. An id that exists already is
// ErrDuplicate, returned with the id. After any other error the call may be repeated with the same id and continues where
// it stopped. A chat without a TraceParent gets that of the span in ctx. For many chats see EnqueueAll.
func (c *Client) Enqueue(ctx context.Context, chat *Chat, o Options) (id string, err error) {
	e := c.EnqueueAll(ctx, []Item{{Chat: chat, Options: o}})[0]
	return e.ID, e.Err
}

// maxAttempts bounds Options.Attempts. asynq keeps the number in 32 bits.
const maxAttempts = 1_000_000

// maxTimeout bounds Options.Timeout. No open record is kept for longer.
const maxTimeout = 30 * 24 * time.Hour

// Validate checks options as Enqueue does. The error is an *InvalidError.
func (o Options) Validate() error { return o.complete() }

func (o *Options) complete() error {
	if o.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make an id: %w", err)
		}
		o.ID = id.String()
	}
	if o.Queue == "" {
		o.Queue = QueueDefault
	}
	if o.Attempts == 0 {
		o.Attempts = DefaultAttempts
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if err := ValidateID(o.ID); err != nil {
		return err
	}
	if _, err := Shards(o.Queue); err != nil {
		return err
	}
	if o.Attempts < 1 || o.Attempts > maxAttempts {
		return invalid("attempts", "%d, want 1 to %d", o.Attempts, maxAttempts)
	}
	if o.InsteadOf != "" {
		if err := ValidateID(o.InsteadOf); err != nil {
			return invalid("instead_of", "%q is no task's id", o.InsteadOf)
		}
	}
	if o.Delay < 0 || o.Delay > maxTimeout {
		return invalid("delay", "%v, want 0s to %v", o.Delay, maxTimeout)
	}
	if o.Timeout < time.Second || o.Timeout > maxTimeout {
		return invalid("timeout", "%v, want 1s to %v", o.Timeout, maxTimeout)
	}
	return nil
}

// Cancel ends a task. A task that was not asked yet is canceled when Cancel returns. A task that runs is canceled a moment
// later by its worker, at Coze too; Cancel returns the status that it had. A task that has ended stays as it is, but a
// failed one does not keep its conversation waiting any more.
//
// asynq's own CancelProcessing does not do: it ends in a retry.
func (c *Client) Cancel(ctx context.Context, id string) (results.Status, error) {
	return c.queue.Cancel(ctx, id, true)
}
