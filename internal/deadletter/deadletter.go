// Package deadletter finds failed tasks in asynq's archive, where they stay for 90 days, at most 10,000 of a queue. It runs them
// again and deletes them. Rows of a batch are not there: their batch has them.
package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
)

// ErrNotFailed is returned for an id that no failed task has.
var ErrNotFailed = errors.New("no failed task")

// Filter says which failed tasks are meant. The zero value means all.
type Filter struct {
	Queue string
	Class string    // of the failure
	Code  int       // Coze's
	Since time.Time // failed then or later
}

func (f *Filter) matches(l *Letter) bool {
	if l.FailedAt.Before(f.Since) || (f.Class != "" || f.Code != 0) && l.Failure == nil {
		return false
	}
	return (f.Class == "" || l.Failure.Class == f.Class) && (f.Code == 0 || l.Failure.Code == f.Code)
}

// Letter is a failed task.
type Letter struct {
	ID       string           `json:"id"`
	Queue    string           `json:"queue"`
	Type     string           `json:"type"` // of asynq's task: coze:chat, or another's
	FailedAt time.Time        `json:"failed_at"`
	Failure  *results.Failure `json:"error,omitempty"` // nil: the record is gone, or it is no question
	Message  string           `json:"message"`         // the failure as asynq has it
	Tenant   string           `json:"tenant,omitempty"`
	BotID    string           `json:"bot_id,omitempty"`

	batch string // of a turn that holds its conversation up
}

// Box is the failed tasks of one Redis.
type Box struct {
	redis     redis.UniversalClient
	results   *results.Store
	records   *record.Store
	inspector *asynq.Inspector
}

// New makes a Box. It does not call Redis.
func New(store *results.Store) *Box {
	rdb := store.Redis()
	return &Box{redis: rdb, results: store, records: record.New(store), inspector: asynqx.NewInspector(rdb)}
}

// page is how many tasks are read at a time.
const page = 500

// List returns the failed tasks that match, the last one first.
func (b *Box) List(ctx context.Context, f Filter) ([]Letter, error) {
	queues := []string{f.Queue}
	if f.Queue == "" {
		var err error
		if queues, err = (asynqx.QueuePauses{Redis: b.redis}).Queues(ctx); err != nil {
			return nil, err
		}
	}
	var all []Letter
	for _, queue := range queues {
		for n := 1; ; n++ {
			infos, err := b.inspector.ListArchivedTasks(queue, asynq.PageSize(page), asynq.Page(n))
			if errors.Is(err, asynq.ErrQueueNotFound) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("list failed tasks: %w", err)
			}
			letters, err := b.read(ctx, infos)
			if err != nil {
				return nil, err
			}
			for _, l := range letters {
				if f.matches(&l) {
					all = append(all, l)
				}
			}
			if len(infos) < page {
				break
			}
		}
	}
	slices.SortStableFunc(all, func(x, y Letter) int { return y.FailedAt.Compare(x.FailedAt) })
	return all, nil
}

// read adds what the records say.
func (b *Box) read(ctx context.Context, infos []*asynq.TaskInfo) ([]Letter, error) {
	letters, ids := make([]Letter, len(infos)), make([]string, len(infos))
	for i, info := range infos {
		letters[i] = Letter{ID: info.ID, Queue: info.Queue, Type: info.Type, FailedAt: info.LastFailedAt.UTC(), Message: info.LastErr}
		ids[i] = info.ID
	}
	records, err := b.results.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		if r != nil {
			letters[i].Failure, letters[i].Tenant, letters[i].BotID, letters[i].batch = r.Error, r.Tenant, r.BotID, r.BatchID
		}
	}
	return letters, nil
}

// Get returns a failed task by its id. The error is ErrNotFailed if there is none.
func (b *Box) Get(ctx context.Context, id string) (*Letter, error) {
	queues, err := (asynqx.QueuePauses{Redis: b.redis}).Queues(ctx)
	if err != nil {
		return nil, err
	}
	for _, queue := range queues {
		info, err := b.inspector.GetTaskInfo(queue, id)
		switch {
		case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
			continue
		case err != nil:
			return nil, fmt.Errorf("find task %s: %w", id, err)
		case info.State != asynq.TaskStateArchived:
			return nil, fmt.Errorf("%w %s: it is %s", ErrNotFailed, id, info.State)
		}
		letters, err := b.read(ctx, []*asynq.TaskInfo{info})
		if err != nil {
			return nil, err
		}
		return &letters[0], nil
	}
	return nil, fmt.Errorf("%w %s", ErrNotFailed, id)
}

// Run has a failed task asked again, under its id. done is false if it is no failed task any more: somebody else has run or
// deleted it.
//
// The record says failed until it is reopened, and who waits for it would get the old failure. A process that dies before it
// reopens it leaves that to the worker, which does so when it takes the task up; only that does it for a turn of a batch. A
// worker may be faster, and the task have failed again by then: so it is reopened only if it still is what it was.
//
// Two that run one task at the same time have it asked once: asynq's script moves it out of the archive once, and refuses a task
// that is pending or active. If it waits for a retry by then, the second only has it asked a little earlier.
func (b *Box) Run(ctx context.Context, l Letter) (done bool, err error) {
	archived, err := b.archived(l)
	if err != nil || !archived {
		return false, err
	}
	failedAt := ""
	if l.batch == "" {
		if failedAt, err = b.records.FailedAt(ctx, l.ID); err != nil {
			return false, err
		}
	}
	if err = b.inspector.RunTask(l.Queue, l.ID); err == nil {
		return true, b.records.ReopenFailed(ctx, l.ID, failedAt)
	}
	if archived, infoErr := b.archived(l); infoErr == nil && !archived {
		return false, nil
	}
	return false, fmt.Errorf("run task %s: %w", l.ID, err)
}

func (b *Box) archived(l Letter) (bool, error) {
	info, err := b.inspector.GetTaskInfo(l.Queue, l.ID)
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return false, nil
	}
	return err == nil && info.State == asynq.TaskStateArchived, err
}

// Delete takes a failed task out of the archive. Its record stays as long as any. done is as for Run.
func (b *Box) Delete(ctx context.Context, l Letter) (done bool, err error) {
	if done, err = asynqx.DeleteArchived(ctx, b.redis, l.Queue, l.ID); err != nil {
		return false, fmt.Errorf("delete task %s: %w", l.ID, err)
	}
	return done, nil
}
