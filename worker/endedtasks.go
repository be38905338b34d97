package worker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/queue"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// endedTask is a task that this process has ended, with what is needed to put it into the queue again.
type endedTask struct {
	chat    record.GivenChat // ChatID is "" if nothing was asked
	task    *asynq.Task
	queue   string
	seq     int64 // its place in its lane
	retries int
	timeout time.Duration
	at      time.Time
}

// noteEnded notes that asynq hears now that a task has ended, or that another attempt has it.
func (w *Worker) noteEnded(ctx context.Context, a *attempt, t *asynq.Task) {
	e := endedTask{chat: record.GivenChat{TaskID: a.id}, task: t, timeout: tasks.DefaultTimeout, at: time.Now()}
	if own := a.hold.chat.Load(); own != nil {
		e.chat = *own
	}
	e.chat.Lost, e.chat.Runs = true, false
	e.queue, _ = asynq.GetQueueName(ctx)
	e.retries, _ = asynq.GetMaxRetry(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		e.timeout = deadline.Sub(a.calls.began) - queue.Grace
	}
	if a.payload != nil {
		e.seq = a.payload.LaneSeq
	}
	w.ended.add(e)
}

// endedTasks are the tasks that ended lately, oldest first. Redis may have forgotten everything about them.
type endedTasks struct {
	mu      sync.Mutex
	tasks   []endedTask
	doubted map[string]endedTask // by id
	until   time.Time            // they are doubted
}

func (e *endedTasks) add(t endedTask) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tasks = append(e.tasks, t)
}

// drop forgets the tasks that ended before a moment.
func (e *endedTasks) drop(before time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for n < len(e.tasks) && e.tasks[n].at.Before(before) {
		n++
	}
	e.tasks = slices.Delete(e.tasks, 0, n)
}

func (e *endedTasks) all() []endedTask {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.tasks)
}

const (
	// lateEnd is how long asynq may repeat that a task has ended: every 5 s, until the task's lease of 30 s has run out.
	lateEnd = 45 * time.Second

	doubtEvery = 2 * time.Second
)

// doubt has requeueForgotten look after the tasks that ended lately.
func (e *endedTasks) doubt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.doubted == nil {
		e.doubted = make(map[string]endedTask, len(e.tasks))
	}
	for _, t := range e.tasks {
		e.doubted[t.chat.TaskID] = t
	}
	e.until = time.Now().Add(lateEnd)
}

func (e *endedTasks) allDoubted() []endedTask {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Now().After(e.until) {
		e.doubted = nil
	}
	return slices.Collect(maps.Values(e.doubted))
}

func (e *endedTasks) trust(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.doubted, id)
}

// requeueForgotten puts tasks back into their queues whose end Redis has half forgotten. It runs until ctx ends.
//
// The end of a task is two writes: its record's, then asynq's, which takes it out of the queue. The second may be there
// without the first:
//
//   - Redis loses power between the two, so asynq's write fails. go-redis and asynq repeat it, to a Redis that came back
//     without its last writes. There the task is active, so the write is done; but its record says running.
//   - The two are on two nodes of a cluster, and only the record's node has lost writes.
//
// Then nobody has the task. So after Redis has lost writes, the records of the tasks that had just ended are read until asynq
// has given its write up. A task whose record has not ended is enqueued again, unless asynq still has it. The chat is in the
// record, see beat, and the next attempt looks it up.
func (w *Worker) requeueForgotten(ctx context.Context) {
	for backoff.Sleep(ctx, doubtEvery) == nil {
		w.requeueDoubted(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), doubtEvery)
	defer cancel()
	w.requeueDoubted(ctx) // asynq's last writes are done
}

func (w *Worker) requeueDoubted(ctx context.Context) {
	doubted := w.ended.allDoubted()
	if len(doubted) == 0 {
		return
	}
	ids := make([]string, len(doubted))
	for i, e := range doubted {
		ids[i] = e.chat.TaskID
	}
	records, err := w.results.GetMany(ctx, ids)
	if err != nil {
		w.log.Warn("could not look whether Redis has forgotten the end of tasks, will try again", "tasks", len(ids), "err", err)
		return
	}
	var open []*queue.Submission
	for i, r := range records {
		if r == nil || r.Status.Terminal() { // nil: collected, or lost whole, which is for its producer to see
			w.ended.trust(ids[i])
			continue
		}
		open = append(open, doubted[i].again(r))
	}
	if len(open) == 0 {
		return
	}
	for _, s := range queue.New(w.results).Add(ctx, len(open), func(i int) *queue.Submission { return open[i] }) {
		task := s.Turn.Place.ID
		switch {
		case s.Err == nil:
			w.log.Warn("task put back in the queue: Redis has forgotten its end", "task", task, "queue", s.Turn.Place.Queue)
		case !errors.Is(s.Err, queue.ErrDuplicate): // asynq has it
			w.log.Warn("could not put a task back whose end Redis has forgotten, will try again", "task", task, "err", s.Err)
		}
	}
}

// again is the task as it was enqueued.
func (e *endedTask) again(r *results.Result) *queue.Submission {
	return &queue.Submission{
		Type:      e.task.Type(),
		Turn:      lane.Turn{Place: lane.Place{Lane: r.Lane, Queue: e.queue, ID: r.ID}, Seq: e.seq},
		Entry:     record.Entry{Result: *r},
		Encode:    func(int64) ([]byte, error) { return e.task.Payload(), nil },
		Tenant:    r.Tenant,
		Attempts:  e.retries - 1,
		Timeout:   e.timeout,
		Retention: tasks.DefaultRetention,
	}
}
