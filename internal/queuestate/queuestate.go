// Package queuestate reads how the queues of a Redis stand, for the commands queues and doctor.
package queuestate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/ratelimit"
	"github.com/cozeq/cozeq/internal/recovery"
	"github.com/cozeq/cozeq/internal/terminal"
)

// Who pauses a queue.
const (
	ByOperator = "operator"
	ByCozeq    = "cozeq"
)

// All is what cozeq queues shows, for programs.
type All struct {
	Queues []Queue           `json:"queues"`
	Pauses []pause.Pause     `json:"pauses"`
	Limits []ratelimit.Limit `json:"limits"`

	Unreadable []recovery.Unreadable `json:"unreadable"` // taken out of the queues, as nobody can work on them
}

// Queue is one queue, by asynq's states.
type Queue struct {
	Queue         string      `json:"queue"`
	Pending       int         `json:"pending"`
	Active        int         `json:"active"`
	Scheduled     int         `json:"scheduled"` // wait for their turn, a back-off or the end of a pause
	Retry         int         `json:"retry"`
	Archived      int         `json:"archived"`
	Completed     int         `json:"completed"`
	Grouped       int         `json:"grouped"` // in asynq's groups, which workers do not serve
	OldestPending float64     `json:"oldest_pending_seconds"`
	Paused        *QueuePause `json:"paused,omitempty"`
}

type QueuePause struct {
	By          string    `json:"by"`
	Since       time.Time `json:"since"`
	Credential  string    `json:"credential,omitempty"`  // the first of Credentials
	Credentials []string  `json:"credentials,omitempty"` // that cozeq has paused the queue for
	Others      []string  `json:"others,omitempty"`      // credentials whose workers go on with it
}

func NewPause(p pause.QueuePause) *QueuePause {
	if len(p.Credentials) == 0 {
		return &QueuePause{By: ByOperator, Since: p.Since}
	}
	return &QueuePause{By: ByCozeq, Since: p.Since, Credential: p.Credentials[0], Credentials: p.Credentials, Others: p.Others}
}

func ReadAll(ctx context.Context, rdb redis.UniversalClient) (All, error) {
	state := All{Queues: []Queue{}, Pauses: []pause.Pause{}, Limits: []ratelimit.Limit{}}
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	names, err := Known(inspector)
	if err != nil {
		return state, err
	}
	used, err := inspector.Queues()
	if err != nil {
		return state, fmt.Errorf("list queues: %w", err)
	}
	for _, name := range names {
		q, err := Read(ctx, rdb, name, slices.Contains(used, name))
		if err != nil {
			return state, err
		}
		state.Queues = append(state.Queues, q)
	}
	pauses, err := pause.All(ctx, rdb)
	if err != nil {
		return state, err
	}
	limits, err := ratelimit.All(ctx, rdb)
	if err != nil {
		return state, err
	}
	unreadable, err := recovery.Unreadables(ctx, rdb, names...)
	if err != nil {
		return state, err
	}
	state.Unreadable = append([]recovery.Unreadable{}, unreadable...)
	state.Pauses = append(state.Pauses, pauses...)
	state.Limits = append(state.Limits, limits...)
	return state, nil
}

// Known are those that were ever enqueued to, and those that a live worker
// serves, sorted.
func Known(inspector *asynq.Inspector) ([]string, error) {
	names, err := inspector.Queues()
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	servers, err := inspector.Servers()
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	for _, s := range servers {
		names = slices.AppendSeq(names, maps.Keys(s.Queues))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Read reads one queue. asynq knows nothing of one that is served and was never
// used.
func Read(ctx context.Context, rdb redis.UniversalClient, name string, used bool) (Queue, error) {
	q := Queue{Queue: name}
	if used {
		info, err := asynqx.QueueInfo(ctx, rdb, name)
		if err != nil {
			return q, fmt.Errorf("read queue %s: %w", name, err)
		}
		q.Pending, q.Active, q.Scheduled, q.Retry = info.Pending, info.Active, info.Scheduled, info.Retry
		q.Grouped = info.Aggregating
		q.Archived, q.Completed, q.OldestPending = info.Archived, info.Completed, terminal.Seconds(info.Latency)
	}
	p, paused, err := pause.PausedQueue(ctx, rdb, name)
	if err != nil || !paused {
		return q, err
	}
	q.Paused = NewPause(p)
	return q, nil
}
