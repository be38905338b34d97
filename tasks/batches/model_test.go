package batches_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// TestTallyModel lets who submits a batch, its workers, people who cancel rows, ask
// failed ones again and mend the batch meet at every call to Redis, and lets any of them
// die at any call. After each call the counts add up to the rows and are those of the
// states, no end is undone, and the tokens are those of all ends, once each. When all is
// done every row's state is that of its record.
func TestTallyModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, err := embeddedredis.Start()
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		m := &tallyModel{
			rt: rt, Line: tasktest.New(t, s.Client()), Stage: redistest.NewStage(s.Client()), rdb: s.Client(),
			active: map[string]string{}, ends: map[string]results.Status{},
		}
		m.batches = batches.New(m.Tasks)
		defer m.Clear()
		m.play()
		m.settle()
	})
}

const modelBatch = "b"

type tallyModel struct {
	rt *rapid.T
	*tasktest.Line
	*redistest.Stage
	rdb     redis.UniversalClient // of both
	batches *batches.Client
	rows    int
	hired   int

	// Touched by one process at a time: see redistest.Stage.
	active map[string]string         // by worker: the task that asynq gave it
	ends   map[string]results.Status // by task, as the states told
	tokens int64                     // of all ends that the states told
	faults []string
}

func (m *tallyModel) faulty(format string, args ...any) {
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

func (m *tallyModel) play() {
	m.rows = rapid.IntRange(1, 4).Draw(m.rt, "rows")
	m.submit("submitter")
	people := rapid.IntRange(0, 3).Draw(m.rt, "people")
	for step := 0; step < 400; step++ {
		// Whoever was hired last has most to say.
		hire := m.hired < 25 && m.workers() < 3 && m.rdb.LLen(context.Background(), "asynq:{default}:pending").Val() > 0
		moves := len(m.Actors)
		if hire {
			moves++
		}
		if people > 0 {
			moves++
		}
		if moves == 0 {
			return
		}
		i := rapid.IntRange(0, moves-1).Draw(m.rt, "next")
		switch {
		case i < len(m.Actors):
			a, what := m.Actors[i], redistest.Answered
			if rapid.IntRange(0, 11).Draw(m.rt, "luck") == 0 {
				what = rapid.SampledFrom([]redistest.Fate{redistest.Twice, redistest.Unheard, redistest.Unsent}).Draw(m.rt, a.Name)
			}
			m.Step(a, what)
			if what != redistest.Answered {
				m.revive()
			}
			if a.Dead && a.Name == "submitter" {
				m.submit("submitter")
			}
		case hire && i == len(m.Actors):
			m.hire(rapid.SampledFrom([]results.Status{results.Completed, results.Failed, results.Waiting}).Draw(m.rt, "how it goes"))
		default:
			people--
			m.person(rapid.SampledFrom([]string{"canceler", "retrier", "mender"}).Draw(m.rt, "person"))
		}
		m.check()
	}
}

func (m *tallyModel) workers() (n int) {
	for _, a := range m.Actors {
		if _, ok := m.active[a.Name]; ok {
			n++
		}
	}
	return n
}

// revive brings back what is active with no worker.
func (m *tallyModel) revive() {
	for _, id := range m.rdb.LRange(context.Background(), "asynq:{default}:active", 0, -1).Val() {
		if !slices.ContainsFunc(m.Actors, func(a *redistest.Actor) bool { return m.active[a.Name] == id }) {
			m.Leave(id, "pending", time.Time{})
		}
	}
}

func (m *tallyModel) submit(name string) {
	m.Enter(name, func(a *redistest.Actor) {
		ctx := context.Background()
		bs := batches.New(tasks.NewClient(results.NewStore(a.Redis)))
		b, _, err := bs.Create(ctx, batches.Spec{ID: modelBatch, Rows: m.rows})
		if err != nil {
			return
		}
		if b.Enqueued == 0 {
			if bs.Add(ctx, modelBatch, m.all()) != nil {
				return
			}
		}
		_ = bs.Submitted(ctx, modelBatch)
	})
}

func (m *tallyModel) all() []batches.Row {
	var rows []batches.Row
	for n := range m.rows {
		rows = append(rows, batches.Row{N: n + 1, CustomID: fmt.Sprint("row ", n+1), Chat: tasks.Ask("bot", "why?")})
	}
	return rows
}

func (m *tallyModel) person(what string) {
	row := rapid.IntRange(1, m.rows).Draw(m.rt, "row")
	m.Enter(what, func(a *redistest.Actor) {
		ctx := context.Background()
		client := tasks.NewClient(results.NewStore(a.Redis))
		bs := batches.New(client)
		var err error
		switch what {
		case "canceler":
			_, err = client.Cancel(ctx, batches.TaskID(modelBatch, row, 1))
		case "retrier":
			_, err = bs.Retry(ctx, modelBatch, batches.RetryOptions{Want: func(int, *results.Result) bool { return true }})
		case "mender":
			_, err = bs.Repair(ctx, modelBatch)
		}
		if err != nil && !a.Dead && !errors.Is(err, results.ErrNotFound) && !errors.Is(err, batches.ErrNotFound) {
			m.faulty("%s: %v", what, err)
		}
	})
}

func (m *tallyModel) hire(how results.Status) {
	m.hired++
	name := fmt.Sprint("worker ", m.hired)
	m.active[name] = ""
	m.Enter(name, func(a *redistest.Actor) { m.worker(a, how) })
}

// worker does with one task what package worker does.
func (m *tallyModel) worker(a *redistest.Actor, how results.Status) {
	ctx := context.Background()
	id, err := tasktest.TakeScript.Run(ctx, a.Redis, nil).Text()
	if err != nil || id == "" {
		return
	}
	m.active[a.Name] = id
	marks := tally.New(a.Redis)
	seed := results.Result{ID: id, BatchID: modelBatch, Queue: tasks.QueueDefault, Status: results.Running}
	mark, _ := tally.Of(&seed)
	at, err := record.New(results.NewStore(a.Redis)).Begin(ctx, seed, false, mark.Along(ctx))
	if err != nil {
		return
	}
	r := &at.Result
	if !at.Ended {
		if at.Created(ctx, "c1", "chat") != nil {
			return
		}
		if how == results.Waiting {
			mark.Status = how
			r.ChatID, r.Usage = "", &results.Usage{TokenCount: 1}
			r.Spent, r.Usage = r.Billed(), nil
			if at.Wait(ctx, nil, mark.Along(ctx)) == nil {
				m.end(ctx, a, id, "pending")
			}
			return
		}
		r.Status, r.Usage = how, &results.Usage{TokenCount: 100}
		if how == results.Failed {
			r.Error = &results.Failure{Class: "permanent", Code: 4000 + len(id)}
		}
		if at.Finish(ctx, false) != nil {
			return
		}
	}
	if marks.MarkResult(ctx, r) != nil {
		return
	}
	m.end(ctx, a, id, "")
}

// end tells asynq; what a dead worker could not tell, revive finds.
func (m *tallyModel) end(ctx context.Context, a *redistest.Actor, id, state string) {
	_ = tasktest.LeaveScript.Run(ctx, a.Redis, nil, id, state, time.Now().Unix()).Err()
}

// check holds the batch against what must be true of it at every moment.
func (m *tallyModel) check() {
	ctx := context.Background()
	b, err := m.batches.Get(ctx, modelBatch)
	if errors.Is(err, batches.ErrNotFound) {
		return
	}
	m.Must(err)
	states, err := m.batches.States(ctx, modelBatch)
	m.Must(err)
	want := batches.Counts{Total: m.rows}
	counters := map[results.Status]*int{
		results.Completed: &want.Completed, results.Failed: &want.Failed, results.Canceled: &want.Canceled, results.Expired: &want.Expired,
		results.Waiting: &want.Waiting, results.Running: &want.Running, results.Queued: &want.Queued,
	}
	for row := 1; row <= states.Len(); row++ {
		now, id := states.Status(row), batches.TaskID(modelBatch, row, states.Attempt(row))
		*counters[now]++
		switch before, ended := m.ends[id]; {
		case ended && now != before:
			m.rt.Errorf("%s had ended as %s and is %s", id, before, now)
		case !ended && now.Terminal():
			m.ends[id] = now
			r, err := m.Store.Get(ctx, id)
			m.Must(err)
			m.tokens += r.Billed().TokenCount
			if r.Status != now {
				m.rt.Errorf("%s is %s, its record %s", id, now, r.Status)
			}
		}
	}
	if b.Counts != want {
		m.rt.Errorf("counts %+v, states %+v", b.Counts, want)
	}
	failed := 0
	for _, f := range b.Failures {
		failed += f.Count
	}
	if failed != want.Failed {
		m.rt.Errorf("%d failures %+v, %d failed", failed, b.Failures, want.Failed)
	}
	if b.Tokens.TokenCount != m.tokens {
		m.rt.Errorf("%d tokens, %d were billed", b.Tokens.TokenCount, m.tokens)
	}
	if ended := want.Open() == 0; ended == b.EndedAt.IsZero() {
		m.rt.Errorf("%d rows are open, it ended at %v", want.Open(), b.EndedAt)
	}
	for _, f := range m.faults {
		m.rt.Error(f)
	}
	m.faults = nil
}

// settle lets those who are there come to their ends, submits what was not, mends, and
// lets one worker do what is left.
func (m *tallyModel) settle() {
	m.submit("last submitter")
	for range 3 {
		for len(m.Actors) > 0 {
			m.Step(m.Actors[0], redistest.Answered)
			m.check()
		}
		m.revive()
		_, err := m.batches.Repair(context.Background(), modelBatch)
		m.Must(err)
		m.check()
		for m.rdb.LLen(context.Background(), "asynq:{default}:pending").Val() > 0 {
			m.hire(results.Completed)
			for len(m.Actors) > 0 {
				m.Step(m.Actors[0], redistest.Answered)
				m.check()
			}
		}
	}
	b, err := m.batches.Get(context.Background(), modelBatch)
	m.Must(err)
	if b.Counts.Open() > 0 {
		m.rt.Errorf("left open: %+v", b.Counts)
	}
	if left := m.rdb.Keys(context.Background(), "asynq:{default}:t:*").Val(); len(left) > 0 {
		m.rt.Errorf("left in the queue: %q", left)
	}
}
