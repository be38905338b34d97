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

// ErrDuplicate is returned for an id that is enqueued already or has a result.
var ErrDuplicate = errors.New("a task with this id exists already")

// One pipeline takes so many tasks and, roughly, so many bytes of messages, and the
// records of so many chunks are written ahead. 100 tasks keep Redis busy for a
// millisecond at a time; more are no quicker.
const (
	enqueueChunk = 100
	enqueueAhead = 2
	enqueueBytes = 4 << 20
)

// Submission is a task on its way into the queue.
type Submission struct {
	lane.Turn
	Entry record.Entry

	// Encode makes the payload of a task that has this place in its lane, 0 for one
	// without a lane.
	Encode func(seq int64) ([]byte, error)

	Attempts  int
	Timeout   time.Duration
	Retention time.Duration

	// InsteadOf is the id of a turn of the same lane that failed and holds it up: this one
	// takes its place.
	InsteadOf string

	// Err says why it went no further. Final is set where it would not, either, if the
	// call were repeated.
	Err   error
	Final bool

	instead  lane.Place     // where InsteadOf is, if it is in its lane
	known    results.Status // of the record that was there before; "" = none was
	conflict bool           // asynq had a task of its id
	waits    bool           // it is in the queue, far ahead
}

// Add takes n tasks into the queue in their order, each as made by encode, which is called
// by several goroutines: see tasks.Client.EnqueueAll.
func (q *Queue) Add(ctx context.Context, n int, encode func(i int) *Submission) []*Submission {
	broken := make(map[string]error)
	if n <= enqueueChunk {
		all := q.recordAll(ctx, 0, n, encode)
		q.enqueue(ctx, all, broken)
		return all
	}
	// The records of the next chunks are written while this one is enqueued: they have no
	// order, and so Redis and this process work at the same time.
	recorded := make(chan chan []*Submission, enqueueAhead)
	go func() {
		defer close(recorded)
		for first := 0; first < n; first += enqueueChunk {
			all := make(chan []*Submission, 1)
			recorded <- all
			go func() { all <- q.recordAll(ctx, first, min(first+enqueueChunk, n), encode) }()
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

// going are those that are on their way still.
func going(all []*Submission) []*Submission {
	return slices.DeleteFunc(slices.Clone(all), func(a *Submission) bool { return a.Err != nil })
}

// recordAll checks chats and writes their records, as many bytes at a time as Redis
// takes well.
func (q *Queue) recordAll(ctx context.Context, first, last int, encode func(i int) *Submission) []*Submission {
	all := make([]*Submission, last-first)
	for i := range all {
		all[i] = encode(first + i)
	}
	for rest := going(all); len(rest) > 0; {
		n := 0
		for size := 0; n < len(rest) && size < enqueueBytes; n++ {
			size += len(rest[n].Entry.Body)
		}
		q.create(ctx, rest[:n])
		rest = rest[n:]
	}
	return all
}

// enqueue takes a chunk with records through the steps that are left, each step for all
// of them before the next. What can die between two steps is the same as for one task
// alone (see Lanes, and docs/architecture.md): every step may be done twice.
func (q *Queue) enqueue(ctx context.Context, all []*Submission, broken map[string]error) {
	q.findPredecessors(ctx, all)
	q.goOn(ctx, going(all))
	breakLanes(all, broken)
	q.join(ctx, going(all), broken)
	q.submit(ctx, going(all))
	q.runHeads(ctx, going(all))
	// go-redis sends a script again when its reply was lost, and then asynq takes our
	// own task for a conflict: it is one only if the record was there before.
	for _, a := range all {
		if a.Err == nil && a.known != "" && a.conflict {
			a.Err = duplicate(a.Place.ID)
		}
		if a.instead != (lane.Place{}) && (a.Err == nil || errors.Is(a.Err, ErrDuplicate)) {
			// What asynq's archive has of it is of no use any more, but to be run by mistake.
			_ = q.Inspector.DeleteTask(a.instead.Queue, a.instead.ID)
		}
	}
}

// findPredecessors finds the places of the turns that others are to stand in for: see
// Submission.InsteadOf.
func (q *Queue) findPredecessors(ctx context.Context, all []*Submission) {
	all = slices.DeleteFunc(slices.Clone(all), func(a *Submission) bool { return a.InsteadOf == "" || a.Place.Lane == "" })
	if len(all) == 0 {
		return
	}
	places := make([]lane.Place, len(all))
	for i, a := range all {
		places[i] = lane.Place{Lane: a.Place.Lane, Queue: a.Place.Queue, ID: a.InsteadOf}
	}
	seqs, err := q.Lanes.Seqs(ctx, places)
	for i, a := range all {
		if err != nil {
			a.Err = err
		} else if seqs[i] != 0 {
			a.instead, a.Seq = places[i], seqs[i]
		}
	}
}

// create writes the records.
func (q *Queue) create(ctx context.Context, all []*Submission) {
	entries := make([]record.Entry, len(all))
	for i, a := range all {
		entries[i] = a.Entry
	}
	statuses, errs := q.Records.CreateMany(ctx, entries)
	for i, a := range all {
		a.known, a.Err = statuses[i], errs[i]
		if a.known.Terminal() {
			a.Err = duplicate(a.Place.ID)
		}
	}
}

// goOn prepares tasks whose records were there before. Each stays in the queue that
// its record names: asynq's ids are unique in one queue only, and two tasks of one id
// would fence each other. A record of another lane is another task's.
func (q *Queue) goOn(ctx context.Context, all []*Submission) {
	all = slices.DeleteFunc(all, func(a *Submission) bool { return a.known == "" })
	ids := make([]string, len(all))
	for i, a := range all {
		ids[i] = a.Place.ID
	}
	records, err := q.Results.GetMany(ctx, ids)
	for i, a := range all {
		switch {
		case err != nil:
			a.Err = err
		case records[i] == nil: // it has just lapsed
		case records[i].Status.Terminal(), records[i].Lane != a.Place.Lane: // it may have ended just now
			a.Err = duplicate(a.Place.ID)
		case records[i].Queue != "":
			a.Place.Queue = records[i].Queue
		}
	}
}

// breakLanes stops the turns behind one that may yet be enqueued if the call is
// repeated: they must not get in before it.
func breakLanes(all []*Submission, broken map[string]error) {
	for _, a := range all {
		if a.Place.Lane == "" {
			continue
		}
		switch {
		case a.Err != nil && !a.Final && !errors.Is(a.Err, ErrDuplicate):
			broken[a.Place.Lane] = a.Err
		case a.Err == nil && broken[a.Place.Lane] != nil:
			a.Err = fmt.Errorf("not enqueued before an earlier turn of its conversation is: %w", broken[a.Place.Lane])
		}
	}
}

// join puts the tasks into their lanes. A task without a lane is the head of its own.
func (q *Queue) join(ctx context.Context, all []*Submission, broken map[string]error) {
	var lanes []string
	turns := make(map[string][]*lane.Turn)
	for _, a := range all {
		if a.Place.Lane == "" {
			a.Head = true
			continue
		}
		if turns[a.Place.Lane] == nil {
			lanes = append(lanes, a.Place.Lane)
		}
		turns[a.Place.Lane] = append(turns[a.Place.Lane], &a.Turn)
	}
	if len(lanes) == 0 {
		return
	}
	errs := q.Lanes.JoinAll(ctx, lanes, turns)
	for _, a := range all {
		if err := errs[a.Place.Lane]; err != nil {
			a.Err, broken[a.Place.Lane] = err, err
		} else if a.instead != (lane.Place{}) {
			// In its lane, and not in the queue yet: runHeads runs it.
			a.Err = q.Lanes.Leave(ctx, a.instead)
		}
	}
}

// submit hands the tasks to asynq.
func (q *Queue) submit(ctx context.Context, all []*Submission) {
	q.handOver(ctx, all)
	var freed []*Submission
	for _, a := range all {
		if !a.conflict {
			continue
		}
		free, waits, err := q.look(ctx, a.Place)
		a.waits, a.Err = waits, err
		if free {
			freed = append(freed, a)
		}
	}
	if len(freed) > 0 {
		q.handOver(ctx, freed)
	}
}

func (q *Queue) handOver(ctx context.Context, all []*Submission) {
	submissions := make([]*asynqx.Submission, 0, len(all))
	sent := make([]*Submission, 0, len(all))
	for _, a := range all {
		s, err := a.submission()
		if err != nil {
			a.Err = err
			continue
		}
		submissions, sent = append(submissions, s), append(sent, a)
	}
	q.bulk.Submit(ctx, submissions)
	for i, a := range sent {
		a.conflict = errors.Is(submissions[i].Err, asynq.ErrTaskIDConflict)
		a.waits = !a.Head
		if err := submissions[i].Err; err != nil && !a.conflict {
			a.Err = fmt.Errorf("enqueue %s: %w", a.Place.ID, err)
		}
	}
}

func (a *Submission) submission() (*asynqx.Submission, error) {
	seq := a.Seq
	if a.Place.Lane == "" {
		seq = 0
	}
	payload, err := a.Encode(seq)
	if err != nil {
		return nil, err
	}
	options := []asynq.Option{
		asynq.TaskID(a.Place.ID),
		asynq.Queue(a.Place.Queue),
		// One more than the budget: asynq archives a task whose retries are used
		// up even when the error is not a failure. The worker ends it before that.
		asynq.MaxRetry(a.Attempts + 1),
		asynq.Timeout(a.Timeout + Grace),
	}
	if a.Retention > 0 {
		options = append(options, asynq.Retention(a.Retention))
	}
	if !a.Head {
		options = append(options, asynq.ProcessIn(lane.Far))
	}
	return &asynqx.Submission{Task: asynq.NewTask(lane.TypeChat, payload), Options: options}, nil
}

// runHeads looks at the lanes of those who wait: the head may have left before our
// task was there to be run, see Lanes.
func (q *Queue) runHeads(ctx context.Context, all []*Submission) {
	all = slices.DeleteFunc(all, func(a *Submission) bool { return a.Place.Lane == "" || !a.waits })
	if len(all) == 0 {
		return
	}
	lanes := make([]string, len(all))
	for i, a := range all {
		lanes[i] = a.Place.Lane
	}
	slices.Sort(lanes)
	lanes = slices.Compact(lanes)
	places, err := q.Lanes.Heads(ctx, lanes)
	heads := make(map[lane.Place]bool, len(places))
	for _, place := range places {
		heads[place] = true
	}
	for _, a := range all {
		if a.Err = err; err == nil && heads[a.Place] {
			a.Err = q.Lanes.Run(ctx, a.Place)
		}
	}
}
