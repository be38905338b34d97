package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/worker"
)

// Who pauses a queue.
const (
	byOperator = "operator"
	byCozeq    = "cozeq"
)

// queuesState is what cozeq queues shows, for programs.
type queuesState struct {
	Queues []queueState   `json:"queues"`
	Pauses []worker.Pause `json:"pauses"`
	Limits []worker.Limit `json:"limits"`

	Unreadable []worker.Unreadable `json:"unreadable"` // taken out of the queues, as nobody can work on them
}

// queueState is one queue, by asynq's states.
type queueState struct {
	Queue         string      `json:"queue"`
	Pending       int         `json:"pending"`
	Active        int         `json:"active"`
	Scheduled     int         `json:"scheduled"` // wait for their turn, a back-off or the end of a pause
	Retry         int         `json:"retry"`
	Archived      int         `json:"archived"`
	Completed     int         `json:"completed"`
	Grouped       int         `json:"grouped"` // in asynq's groups, which workers do not serve
	OldestPending float64     `json:"oldest_pending_seconds"`
	Paused        *queuePause `json:"paused,omitempty"`
}

type queuePause struct {
	By          string    `json:"by"`
	Since       time.Time `json:"since"`
	Credential  string    `json:"credential,omitempty"`  // the first of Credentials
	Credentials []string  `json:"credentials,omitempty"` // that cozeq has paused the queue for
	Others      []string  `json:"others,omitempty"`      // credentials whose workers go on with it
}

func newQueuePause(p worker.QueuePause) *queuePause {
	if len(p.Credentials) == 0 {
		return &queuePause{By: byOperator, Since: p.Since}
	}
	return &queuePause{By: byCozeq, Since: p.Since, Credential: p.Credentials[0], Credentials: p.Credentials, Others: p.Others}
}

func readQueues(ctx context.Context, rdb redis.UniversalClient) (queuesState, error) {
	state := queuesState{Queues: []queueState{}, Pauses: []worker.Pause{}, Limits: []worker.Limit{}}
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	names, err := knownQueues(inspector)
	if err != nil {
		return state, err
	}
	used, err := inspector.Queues()
	if err != nil {
		return state, fmt.Errorf("list queues: %w", err)
	}
	for _, name := range names {
		q, err := readQueue(ctx, rdb, name, slices.Contains(used, name))
		if err != nil {
			return state, err
		}
		state.Queues = append(state.Queues, q)
	}
	pauses, err := worker.Pauses(ctx, rdb)
	if err != nil {
		return state, err
	}
	limits, err := worker.Limits(ctx, rdb)
	if err != nil {
		return state, err
	}
	unreadable, err := worker.Unreadables(ctx, rdb, names...)
	if err != nil {
		return state, err
	}
	state.Unreadable = append([]worker.Unreadable{}, unreadable...)
	state.Pauses = append(state.Pauses, pauses...)
	state.Limits = append(state.Limits, limits...)
	return state, nil
}

// knownQueues are those that were ever enqueued to, and those that a live worker
// serves, sorted.
func knownQueues(inspector *asynq.Inspector) ([]string, error) {
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

// readQueue reads one queue. asynq knows nothing of one that is served and was never
// used.
func readQueue(ctx context.Context, rdb redis.UniversalClient, name string, used bool) (queueState, error) {
	q := queueState{Queue: name}
	if used {
		info, err := worker.QueueInfo(ctx, rdb, name)
		if err != nil {
			return q, fmt.Errorf("read queue %s: %w", name, err)
		}
		q.Pending, q.Active, q.Scheduled, q.Retry = info.Pending, info.Active, info.Scheduled, info.Retry
		q.Grouped = info.Aggregating
		q.Archived, q.Completed, q.OldestPending = info.Archived, info.Completed, terminal.Seconds(info.Latency)
	}
	p, paused, err := worker.PausedQueue(ctx, rdb, name)
	if err != nil || !paused {
		return q, err
	}
	q.Paused = newQueuePause(p)
	return q, nil
}
