package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Config says what a Worker serves and how. Redis and Coze are required.
type Config struct {
	// Redis holds the queues and the results. Its pool should have a connection
	// for every ten chats in flight, at least 10.
	Redis redis.UniversalClient

	// Coze asks. Its HTTP client should be sized for Concurrency.
	Coze *coze.Client

	// Credentials are further ones, that tasks name; Coze is the one of those that
	// name none.
	Credentials []Credential

	// Rate is the upper bound on calls that count for Coze's quota, a second, all
	// processes of one Redis together; 0: none but what is learnt.
	Rate float64

	// Keep is how long results are kept, where a task says nothing of it. Defaults to
	// results.DefaultKeep.
	Keep time.Duration

	// Keys decrypt questions and encrypt answers, see results.Store; nil: nothing is
	// encrypted, and questions that are wait for a worker that has their key.
	Keys *results.Keys

	// BotID answers questions that name no bot; empty: those end as invalid.
	BotID string

	// Concurrency is the most chats in flight in this process. Defaults to 64.
	Concurrency int

	// Queues are the queues served, with their weights. Defaults to
	// critical 6, default 3, low 1.
	Queues map[string]int

	// Drain is how long Run lets chats in flight go on once its context has
	// ended. Those still open then are put back, their chats noted. Defaults to
	// 30 s; negative: not at all.
	Drain time.Duration

	// Logger defaults to slog.Default.
	Logger *slog.Logger

	// Metrics counts; nil: nothing is counted.
	Metrics *Metrics

	// TracerProvider makes the spans of tasks; nil: nothing is traced. A task's spans
	// belong to the trace that its payload names, else to one of its own.
	TracerProvider trace.TracerProvider

	// HideResult leaves asynq's own result of a task empty, which asynqmon shows:
	// it saves a round trip where nobody looks.
	HideResult bool

	// OnProgress, where set, is told of every step that a later process would
	// have to know of, before the next step is taken: an error keeps the question
	// from being sent. It is for those whose Redis does not outlive the process.
	OnProgress func(context.Context, Progress) error

	// OnVerdict, where set, is told how every attempt ended. It must not block.
	OnVerdict func(id string, v Verdict)

	// Answered, where set, tells that questions like these were answered before, or
	// are known to fail: that the first ones fail alike then pauses no bot. Redis
	// remembers it as well, but an embedded one not for long.
	Answered func() bool
}

// Progress is how far a task has come on its way to an answer.
type Progress struct {
	ID              string
	BotID           string
	ConversationKey string
	ConversationID  string
	ChatID          string    // empty: not known yet
	AskedAt         time.Time // set: the question is about to be sent
}

// Defaults of Config.
const (
	DefaultConcurrency = 64
	DefaultDrain       = 30 * time.Second
)

// DefaultQueues are the queues served by default, with their weights.
func DefaultQueues() map[string]int {
	return map[string]int{tasks.QueueCritical: 6, tasks.QueueDefault: 3, tasks.QueueLow: 1}
}

func (c *Config) complete() error {
	if c.Redis == nil {
		return errors.New("worker: Config.Redis is not set")
	}
	if c.Coze == nil {
		return errors.New("worker: Config.Coze is not set")
	}
	if c.Keep == 0 {
		c.Keep = results.DefaultKeep
	}
	if c.Keep < time.Second {
		return fmt.Errorf("worker: results kept for %v, want at least 1s", c.Keep)
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Concurrency < 1 {
		return fmt.Errorf("worker: concurrency %d, want at least 1", c.Concurrency)
	}
	if len(c.Queues) == 0 {
		c.Queues = DefaultQueues()
	}
	for name, weight := range c.Queues {
		if err := tasks.ValidateQueue(name); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		if weight < 1 {
			return fmt.Errorf("worker: queue %s has weight %d, want at least 1", name, weight)
		}
	}
	if c.Rate < 0 {
		return fmt.Errorf("worker: rate %v, want a positive one, or 0 for none", c.Rate)
	}
	if c.Drain == 0 {
		c.Drain = DefaultDrain
	}
	if c.Drain < 0 {
		c.Drain = 0
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}
