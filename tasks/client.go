package tasks

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/results"
)

// Defaults of Options.
const (
	DefaultAttempts  = 5
	DefaultTimeout   = 15 * time.Minute
	DefaultRetention = time.Hour
)

// Grace is how much longer than the task's own timeout asynq waits before it
// takes a handler for lost: the worker ends a chat in time by itself, and asynq's
// timeout would only start a second handler beside the first.
const Grace = time.Minute

// Options say how a task is enqueued. The zero value is good.
type Options struct {
	// ID is the task's id everywhere: result, channel, asynqmon. Empty: a new
	// UUID, version 7. An id of the caller's own makes Enqueue idempotent.
	ID string

	// Queue is critical, default or low, or another one that a worker serves, or
	// NAME/N: one of the N queues NAME-0 to NAME-(N-1), as Shard says. Empty: default.
	Queue string

	// Attempts is how often the question may be asked in all; 0 = 5. Waits, for
	// a rate limit or a busy conversation, do not count.
	Attempts int

	// Timeout bounds one attempt, from its start to its end; 0 = 15 min.
	Timeout time.Duration

	// Keep is how long the result is kept after the task has ended; 0 = the
	// store's own default, 24 h.
	Keep time.Duration

	// Retention is how long asynq shows the completed task; 0 = 1 h, negative =
	// not at all.
	Retention time.Duration

	// ConversationID, ChatID and AskedAt take over a task that an earlier run had
	// begun: the worker looks that chat up before it asks. See results.Entry.
	ConversationID string
	ChatID         string
	AskedAt        time.Time

	// PossibleDuplicate marks the record from the start: the question was asked before, by
	// a task that is over, and that one's chat may have an answer.
	PossibleDuplicate bool

	// kept is set for a task of a batch: see results.Entry.
	kept bool

	// instead is a turn that failed and holds its conversation up: this one takes its
	// place, at laneSeq.
	instead Place
	laneSeq int64
}

// Client puts tasks into the queue. It is safe for concurrent use.
type Client struct {
	results   *results.Store
	lanes     *Lanes
	tally     *Tally
	bulk      *bulk
	inspector *asynq.Inspector
}

// NewClient returns a Client on rdb, which stays the caller's to close. The store
// must be one of the same Redis; if it has Keys, what is asked is encrypted with them.
func NewClient(rdb redis.UniversalClient, store *results.Store) *Client {
	return &Client{
		results:   store,
		lanes:     NewLanes(rdb),
		tally:     NewTally(rdb),
		bulk:      newBulk(rdb),
		inspector: asynq.NewInspectorFromRedisClient(rdb),
	}
}

// Enqueue puts a chat into the queue and returns its id. An invalid chat is an
// *InvalidError, an id that exists already ErrDuplicate, returned with the id. A
// call that failed otherwise may be repeated with the same id: it goes on where it
// stopped. A chat without a TraceParent gets that of the span in ctx, if there is one.
// To enqueue many see EnqueueAll.
func (c *Client) Enqueue(ctx context.Context, chat *Chat, o Options) (id string, err error) {
	e := c.EnqueueAll(ctx, []Item{{Chat: chat, Options: o}})[0]
	return e.ID, e.Err
}

// maxAttempts bounds Options.Attempts: asynq keeps the number in 32 bits and
// takes a larger one for a negative.
const maxAttempts = 1_000_000

// maxTimeout bounds Options.Timeout: no open record is kept for longer, and the
// largest Duration plus Grace would be a negative one.
const maxTimeout = 30 * 24 * time.Hour

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
	if o.Timeout < time.Second || o.Timeout > maxTimeout {
		return invalid("timeout", "%v, want 1s to %v", o.Timeout, maxTimeout)
	}
	return nil
}
