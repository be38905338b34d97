// Package deadletter finds failed tasks in asynq's archive, where they stay for 90 days, at most 10,000 of a queue. It runs them
// again and deletes them. Rows of a batch are not there: their batch has them.
package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// ErrNotFailed is returned for an id that no failed task has.
var ErrNotFailed = errors.New("no failed task")

// Letter is a failed task.
type Letter struct {
	ID       string           `json:"id"`
	Queue    string           `json:"queue"`
	Type     string           `json:"type"` // of asynq's task: coze:chat, coze:workflow, or another's
	FailedAt time.Time        `json:"failed_at"`
	Failure  *results.Failure `json:"error,omitempty"` // once the record is gone, what asynq has of it; nil: it is no question
	Message  string           `json:"message"`         // the failure as asynq has it
	Tenant   string           `json:"tenant,omitempty"`
	BotID    string           `json:"bot_id,omitempty"`
	Workflow string           `json:"workflow_id,omitempty"`

	// Credential is what the question is asked with, as its payload names it.
	Credential string `json:"-"`

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
			var letters []Letter
			for _, info := range infos {
				if l := letter(info); f.takes(&l) {
					letters = append(letters, l)
				}
			}
			if err := b.addFailures(ctx, letters); err != nil {
				return nil, err
			}
			for i := range letters {
				if f.matches(&letters[i]) {
					all = append(all, letters[i])
				}
			}
			if len(infos) < page {
				break
			}
		}
	}
	slices.SortFunc(all, func(x, y Letter) int { // asynq's times are whole seconds
		return cmp.Or(y.FailedAt.Compare(x.FailedAt), strings.Compare(y.ID, x.ID))
	})
	return all, nil
}

// letter is a task of the archive, without what its record says. Who asked is in the payload: a record is gone long before.
func letter(info *asynq.TaskInfo) Letter {
	l := Letter{ID: info.ID, Queue: info.Queue, Type: info.Type, FailedAt: info.LastFailedAt.UTC(), Message: info.LastErr}
	var p tasks.Chat
	if info.Type == tasks.TypeChat || info.Type == tasks.TypeWorkflow {
		l.Failure = results.ParseFailure(info.LastErr)
		if json.Unmarshal(info.Payload, &p) == nil {
			l.Tenant, l.BotID, l.Workflow, l.Credential, l.batch = p.Tenant, p.BotID, p.WorkflowID, p.Credential, p.BatchID
		}
	}
	return l
}

func (b *Box) addFailures(ctx context.Context, letters []Letter) error {
	ids := make([]string, len(letters))
	for i := range letters {
		ids[i] = letters[i].ID
	}
	records, err := b.results.GetMany(ctx, ids)
	if err != nil {
		return err
	}
	for i, r := range records {
		if r != nil && r.Error != nil {
			letters[i].Failure = r.Error
		}
	}
	return nil
}

// Find returns the failed tasks of these ids, in their order, as far as the filter takes them. missing are the other ids.
func (b *Box) Find(ctx context.Context, f Filter, ids []string) (all []Letter, missing []string, err error) {
	for _, id := range ids {
		l, err := b.Get(ctx, id)
		switch {
		case errors.Is(err, ErrNotFailed) || err == nil && !f.matches(l):
			missing = append(missing, id)
		case err != nil:
			return nil, nil, err
		default:
			all = append(all, *l)
		}
	}
	return all, missing, nil
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
		one := []Letter{letter(info)}
		return &one[0], b.addFailures(ctx, one)
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
