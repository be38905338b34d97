package tasks

import (
	"context"
	"errors"
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

	// Queue is critical, default or low, or another one that a worker serves.
	// Empty: default.
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
}

// Client puts tasks into the queue. It is safe for concurrent use.
type Client struct {
	results   *results.Store
	lanes     *Lanes
	asynq     *asynq.Client
	inspector *asynq.Inspector
}

// NewClient returns a Client on rdb, which stays the caller's to close. The store
// must be one of the same Redis.
func NewClient(rdb redis.UniversalClient, store *results.Store) *Client {
	return &Client{
		results:   store,
		lanes:     NewLanes(rdb),
		asynq:     asynq.NewClientFromRedisClient(rdb),
		inspector: asynq.NewInspectorFromRedisClient(rdb),
	}
}

// Enqueue puts a chat into the queue and returns its id. An invalid chat is an
// *InvalidError, an id that exists already ErrDuplicate, returned with the id. A
// call that failed otherwise may be repeated with the same id: it goes on where it
// stopped.
func (c *Client) Enqueue(ctx context.Context, chat *Chat, o Options) (id string, err error) {
	if err := o.complete(); err != nil {
		return "", err
	}
	wire := *chat
	if wire.UserID == "" {
		wire.UserID = DefaultUserID
	}
	if err := wire.Validate(); err != nil {
		return "", err
	}
	_, body, err := wire.encode()
	if err != nil {
		return "", err
	}
	entry := results.Entry{Result: wire.Record(o.ID, o.Queue), Body: body, Keep: o.Keep, AskedAt: o.AskedAt}
	entry.ChatID = o.ChatID
	if o.ConversationID != "" {
		entry.ConversationID = o.ConversationID
	}
	status, err := c.results.Create(ctx, entry)
	if err != nil {
		return "", err
	}
	if status.Terminal() {
		return o.ID, duplicate(o.ID)
	}
	if status != "" {
		if err := c.goOn(ctx, &o, wire.Lane()); err != nil {
			return o.ID, err
		}
	}
	place := Place{Lane: wire.Lane(), Queue: o.Queue, ID: o.ID}
	head := true
	if place.Lane != "" {
		if wire.LaneSeq, head, err = c.lanes.Join(ctx, place, 0); err != nil {
			return "", err
		}
	}
	payload, _, err := wire.encode()
	if err != nil {
		return "", err
	}
	err = c.submit(ctx, payload, o, head)
	conflict := errors.Is(err, asynq.ErrTaskIDConflict)
	waits := !head
	if conflict {
		var free bool
		if free, waits, err = c.look(ctx, place); err != nil {
			return o.ID, err
		}
		if free {
			err = c.submit(ctx, payload, o, head)
			conflict = errors.Is(err, asynq.ErrTaskIDConflict)
			waits = !head
		}
	}
	if err != nil && !conflict {
		return "", fmt.Errorf("enqueue %s: %w", o.ID, err)
	}
	if waits && place.Lane != "" {
		// The head may have left before our task was there to be run: see Lanes.
		now, ok, err := c.lanes.Head(ctx, place.Lane)
		if err != nil {
			return "", err
		}
		if ok && now == place {
			if err := c.lanes.Run(ctx, place); err != nil {
				return "", err
			}
		}
	}
	// go-redis sends a script again when its reply was lost, and then asynq takes
	// our own task for a conflict: it is one only if the record was there before.
	if conflict && status != "" {
		return o.ID, duplicate(o.ID)
	}
	return o.ID, nil
}

func (c *Client) submit(ctx context.Context, payload []byte, o Options, head bool) error {
	options := []asynq.Option{
		asynq.TaskID(o.ID),
		asynq.Queue(o.Queue),
		// One more than the budget: asynq archives a task whose retries are used
		// up even when the error is not a failure. The worker ends it before that.
		asynq.MaxRetry(o.Attempts + 1),
		asynq.Timeout(o.Timeout + Grace),
	}
	if o.Retention > 0 {
		options = append(options, asynq.Retention(o.Retention))
	}
	if !head {
		options = append(options, asynq.ProcessIn(far))
	}
	_, err := c.asynq.EnqueueContext(ctx, asynq.NewTask(TypeChat, payload), options...)
	return err
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
	if err := ValidateQueue(o.Queue); err != nil {
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
