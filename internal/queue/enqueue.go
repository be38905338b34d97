package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
)

// ErrDuplicate is returned for an id that is in the queue already or has a result.
var ErrDuplicate = errors.New("a task with this id exists already")

// A pipeline takes chunkTasks tasks and about chunkBytes of messages. 100 tasks keep Redis busy for a millisecond; more
// are no faster. The records of chunksAhead chunks are written ahead.
const (
	chunkTasks  = 100
	chunksAhead = 2
	chunkBytes  = 4 << 20
)

// Submission is a task on its way into the queue.
type Submission struct {
	Type  string    // asynq's type of the task
	Turn  lane.Turn // Turn.Seq is 0 but for a task that takes over a place
	Entry record.Entry

	// Encode makes the payload for a place in the lane; the place of a task without a lane is 0.
	Encode func(seq int64) ([]byte, error)

	Tenant    string
	Attempts  int
	Timeout   time.Duration
	Retention time.Duration
	Delay     time.Duration // of a task without a lane

	// InsteadOf is the id of a failed turn that keeps the same lane waiting. The task takes its place.
	InsteadOf string

	// Err is why the task is not in the queue. It is final if a repeated call would fail in the same way.
	Err   error
	Final bool

	instead  lane.Place     // of InsteadOf, if it is in its lane
	known    results.Status // of the record that was there before; "" = none was
	conflict bool           // asynq had a task of this id
	waits    bool           // it is in the queue, scheduled far ahead
}

// Add puts n tasks into the queue in their order. encode makes each of them, and is called by several goroutines. See
// tasks.Client.EnqueueAll.
//
// The records of the next chunks are written while a chunk is enqueued. Records have no order, so this process and Redis
// work at the same time.
func (q *Queue) Add(ctx context.Context, n int, encode func(i int) *Submission) []*Submission {
	broken := make(map[string]error)
	if n <= chunkTasks {
		all := q.record(ctx, 0, n, encode)
		q.enqueue(ctx, all, broken)
		return all
	}
	recorded := make(chan chan []*Submission, chunksAhead)
	go func() {
		defer close(recorded)
		for first := 0; first < n; first += chunkTasks {
			all := make(chan []*Submission, 1)
			recorded <- all
			go func() { all <- q.record(ctx, first, min(first+chunkTasks, n), encode) }()
		}
	}()
	added := make([]*Submission, 0, n)
	for next := range recorded {
		all := <-next
		q.enqueue(ctx, all, broken)
		added = append(added, all...)
	}
	return added
}

// pending returns the tasks that have not failed so far.
func pending(all []*Submission) []*Submission {
	return slices.DeleteFunc(slices.Clone(all), func(s *Submission) bool { return s.Err != nil })
}

// record encodes tasks and writes their records, about chunkBytes at a time.
func (q *Queue) record(ctx context.Context, first, last int, encode func(i int) *Submission) []*Submission {
	all := make([]*Submission, last-first)
	for i := range all {
		all[i] = encode(first + i)
	}
	for rest := pending(all); len(rest) > 0; {
		var entries []record.Entry
		for size := 0; len(entries) < len(rest) && size < chunkBytes; {
			entry := rest[len(entries)].Entry
			entries, size = append(entries, entry), size+len(entry.Body)
		}
		statuses, errs := q.Records.CreateMany(ctx, entries)
		for i, s := range rest[:len(entries)] {
			s.known, s.Err = statuses[i], errs[i]
			if s.known.Terminal() {
				s.Err = duplicate(s.Turn.Place.ID)
			}
		}
		rest = rest[len(entries):]
	}
	return all
}

// enqueue takes a chunk with records through the other steps. Each step is done for all tasks before the next. A process
// can die between two steps as with a single task (see lane.Lanes and docs/architecture.md), so every step can be repeated.
func (q *Queue) enqueue(ctx context.Context, all []*Submission, broken map[string]error) {
	q.findPredecessors(ctx, all)
	q.resume(ctx, pending(all))
	holdBack(all, broken)
	q.join(ctx, pending(all), broken)
	q.submit(ctx, pending(all))
	q.runHeads(ctx, pending(all))
	for _, s := range all {
		// go-redis sends a script again if its reply was lost. asynq then takes our own task for a conflict. It is one only
		// if the record was there before.
		if s.Err == nil && s.known != "" && s.conflict {
			s.Err = duplicate(s.Turn.Place.ID)
		}
		if s.instead != (lane.Place{}) && (s.Err == nil || errors.Is(s.Err, ErrDuplicate)) {
			// Its failed turn in asynq's archive could only be run by mistake.
			_ = q.Inspector.DeleteTask(s.instead.Queue, s.instead.ID)
		}
	}
}

// findPredecessors finds the places of the turns that Submission.InsteadOf names.
func (q *Queue) findPredecessors(ctx context.Context, all []*Submission) {
	all = slices.DeleteFunc(slices.Clone(all), func(s *Submission) bool { return s.InsteadOf == "" || s.Turn.Place.Lane == "" })
	if len(all) == 0 {
		return
	}
	places := make([]lane.Place, len(all))
	for i, s := range all {
		places[i] = s.Turn.Place
		places[i].ID = s.InsteadOf
	}
	seqs, err := q.Lanes.Seqs(ctx, places)
	for i, s := range all {
		if err != nil {
			s.Err = err
		} else if seqs[i] != 0 {
			s.instead, s.Turn.Seq = places[i], seqs[i]
		}
	}
}

// resume prepares tasks whose records were there before. Such a task stays in the queue that its record names: an id is
// unique in one of asynq's queues only, and two tasks of one id would fence each other. A record of another lane or digest
// belongs to another task.
func (q *Queue) resume(ctx context.Context, all []*Submission) {
	all = slices.DeleteFunc(all, func(s *Submission) bool { return s.known == "" })
	ids := make([]string, len(all))
	for i, s := range all {
		ids[i] = s.Turn.Place.ID
	}
	records, err := q.Results.GetMany(ctx, ids)
	for i, s := range all {
		switch {
		case err != nil:
			s.Err = err
		case records[i] == nil: // it has just expired
		case records[i].Status.Terminal(), records[i].Lane != s.Turn.Place.Lane, // it may have just ended
			records[i].Digest != s.Entry.Digest:
			s.Err = duplicate(s.Turn.Place.ID)
		case records[i].Queue != "":
			s.Turn.Place.Queue = records[i].Queue
		}
	}
}

// holdBack stops the turns behind one that a repeated call may still enqueue: they must not overtake it.
func holdBack(all []*Submission, broken map[string]error) {
	for _, s := range all {
		name := s.Turn.Place.Lane
		switch {
		case name == "":
		case s.Err != nil && !s.Final && !errors.Is(s.Err, ErrDuplicate):
			broken[name] = s.Err
		case s.Err == nil && broken[name] != nil:
			s.Err = fmt.Errorf("not enqueued before an earlier turn of its conversation is: %w", broken[name])
		}
	}
}

// join puts the tasks into their lanes. A task without a lane is a head.
func (q *Queue) join(ctx context.Context, all []*Submission, broken map[string]error) {
	var lanes []string
	turns := make(map[string][]*lane.Turn)
	for _, s := range all {
		name := s.Turn.Place.Lane
		if name == "" {
			s.Turn.Head = true
			continue
		}
		if turns[name] == nil {
			lanes = append(lanes, name)
		}
		turns[name] = append(turns[name], &s.Turn)
	}
	if len(lanes) == 0 {
		return
	}
	errs := q.Lanes.JoinAll(ctx, lanes, turns)
	for _, s := range all {
		if err := errs[s.Turn.Place.Lane]; err != nil {
			s.Err, broken[s.Turn.Place.Lane] = err, err
		} else if s.instead != (lane.Place{}) {
			s.Err = q.Lanes.Leave(ctx, s.instead) // the task itself is not in asynq yet: runHeads runs it
		}
	}
}

// submit gives the tasks to asynq.
func (q *Queue) submit(ctx context.Context, all []*Submission) {
	q.give(ctx, all)
	var freed []*Submission
	for _, s := range all {
		if !s.conflict {
			continue
		}
		var free bool
		if free, s.waits, s.Err = q.look(ctx, s.Turn.Place); free {
			freed = append(freed, s)
		}
	}
	if len(freed) > 0 {
		q.give(ctx, freed)
	}
}

func (q *Queue) give(ctx context.Context, all []*Submission) {
	submissions := make([]*asynqx.Submission, 0, len(all))
	sent := make([]*Submission, 0, len(all))
	for _, s := range all {
		submission, err := s.forAsynq()
		if err != nil {
			s.Err = err
			continue
		}
		submissions, sent = append(submissions, submission), append(sent, s)
	}
	q.bulk.Submit(ctx, submissions)
	for i, s := range sent {
		err := submissions[i].Err
		s.conflict = errors.Is(err, asynq.ErrTaskIDConflict)
		s.waits = !s.Turn.Head
		if err != nil && !s.conflict {
			s.Err = fmt.Errorf("enqueue %s: %w", s.Turn.Place.ID, err)
		}
	}
}

// forAsynq is the task as asynq takes it.
func (s *Submission) forAsynq() (*asynqx.Submission, error) {
	payload, err := s.Encode(s.Turn.Seq)
	if err != nil {
		return nil, err
	}
	options := []asynq.Option{
		asynq.TaskID(s.Turn.Place.ID),
		asynq.Queue(s.Turn.Place.Queue),
		// One more than the attempts: asynq archives a task without retries even if the error is no failure. The worker
		// ends the task before that.
		asynq.MaxRetry(s.Attempts + 1),
		asynq.Timeout(s.Timeout + Grace),
	}
	if s.Retention > 0 {
		options = append(options, asynq.Retention(s.Retention))
	}
	switch {
	case !s.Turn.Head:
		options = append(options, asynq.ProcessIn(lane.WaitsAhead))
	case s.Delay > 0:
		options = append(options, asynq.ProcessIn(s.Delay))
	}
	return &asynqx.Submission{Task: asynq.NewTask(s.Type, payload), Options: options, Tenant: s.Tenant}, nil
}

// runHeads runs those tasks that have become heads: a head may have left before its successor was in asynq.
func (q *Queue) runHeads(ctx context.Context, all []*Submission) {
	all = slices.DeleteFunc(all, func(s *Submission) bool { return s.Turn.Place.Lane == "" || !s.waits })
	if len(all) == 0 {
		return
	}
	lanes := make([]string, len(all))
	for i, s := range all {
		lanes[i] = s.Turn.Place.Lane
	}
	slices.Sort(lanes)
	heads, err := q.Lanes.Heads(ctx, slices.Compact(lanes))
	for _, s := range all {
		if s.Err = err; err == nil && slices.Contains(heads, s.Turn.Place) {
			s.Err = q.Lanes.Run(ctx, s.Turn.Place)
		}
	}
}
