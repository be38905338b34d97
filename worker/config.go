package worker

import (
	"context"
	"encoding/json"
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
	// Redis holds the queues and the results. Its pool should have a connection for every ten chats in flight, at least 10.
	Redis redis.UniversalClient

	// Coze asks. Its HTTP client should be sized for Concurrency.
	Coze *coze.Client

	// Credentials are further ones that tasks can name. Coze serves the tasks that name none.
	Credentials []Credential

	// Rate is the upper bound on calls a second that count for Coze's quota, of all processes of one Redis together.
	// 0: only what is learnt.
	Rate float64

	// Keep is how long results are kept if their task does not say. Defaults to results.DefaultKeep.
	Keep time.Duration

	// Keys decrypt questions and encrypt answers, see results.Store. Nil: nothing is encrypted, and encrypted questions wait
	// for a worker that has their key.
	Keys *results.Keys

	// BotID answers questions that name no bot. Empty: those end as invalid.
	BotID string

	// Tools are the client-side tools that bots may call, by name. A bot that calls another one ends as class action.
	Tools map[string]Tool

	// TaskTool makes a tool of one that a task brings along, which comes before one of the same name here. Nil: tasks bring none.
	TaskTool func(tasks.ToolWebhook) Tool

	// ToolTimeout is how long a tool may take for one call. Defaults to DefaultToolTimeout.
	ToolTimeout time.Duration

	// ToolRounds is how often a chat may call tools, several at a time, before it ends as class action. Defaults to
	// DefaultToolRounds.
	ToolRounds int

	// Concurrency is the most chats in flight in this process. Defaults to 64.
	Concurrency int

	// Queues are the queues served, with their weights. Defaults to critical 6, default 3, low 1.
	Queues map[string]int

	// Drain is how long chats in flight may take to end after Run's context has ended. The rest is put back, with the chats
	// noted. Defaults to 30 s; negative: no time.
	Drain time.Duration

	// Logger defaults to slog.Default.
	Logger *slog.Logger

	// Metrics counts. Nil: nothing is counted.
	Metrics *Metrics

	// TracerProvider makes the spans of tasks. Nil: nothing is traced. A task's spans belong to the trace that its payload
	// names, else to one of its own.
	TracerProvider trace.TracerProvider

	// HideResult leaves the task's result of asynq empty, which asynqmon shows.
	HideResult bool

	// OnProgress, if set, is called before each step that a later process must know of. After an error the question is not
	// sent. It is for a Redis that does not outlive the process.
	OnProgress func(context.Context, Progress) error

	// OnVerdict, if set, is called with the end of every attempt that has no answer. It must not block.
	OnVerdict func(id string, v Verdict)

	// Answered, if set, reports that questions like these were answered before, or are known to fail. If the first ones fail
	// alike, that then pauses no bot. Redis remembers it too, but an embedded one not for long.
	Answered func() bool
}

// Progress is how far a task is on its way to an answer.
type Progress struct {
	ID              string
	BotID           string
	ConversationKey string
	ConversationID  string
	ChatID          string    // empty: not known yet
	AskedAt         time.Time // set: the question is about to be sent

	// Tools is what the next attempt must know of the tools that the chat has called, as JSON: see tasks.Options. Empty: nothing new.
	Tools json.RawMessage
}

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
	return c.completeTools()
}
