package tasks_test

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
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestModel lets producers, workers and a sweeper meet at every call to Redis, and
// lets any of them die at any call. Dead workers' tasks come back, as asynq or the
// worker's own look after orphans bring them; dead producers begin again with the
// same id, or never. After that and a sweep every turn that was enqueued has run,
// once, in order, and no two of a conversation at a time.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, err := embeddedredis.Start()
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		m := &model{
			t: t, rt: rt, Line: tasktest.New(t, s.Client()), Stage: redistest.NewStage(s.Client()), rdb: s.Client(),
			running: map[string]string{}, active: map[string]string{}, lost: map[string]bool{},
		}
		defer m.Clear()
		m.play()
		m.settle()
		m.judge()
	})
}

type model struct {
	t  *testing.T
	rt *rapid.T
	*tasktest.Line
	*redistest.Stage
	rdb redis.UniversalClient // of both

	producers []*producer
	hired     int

	// Touched by one process at a time: see redistest.Stage.
	running  map[string]string // by lane: the turn that is asked now
	active   map[string]string // by worker: the task that asynq gave it
	finished []string          // in the order of their ends
	lost     map[string]bool   // turns whose producers never came back
	faults   []string
}

// producer enqueues turns one after the other.
type producer struct {
	name string
	lane string // conversation key
	ids  []string
	done int
	gone bool
}

func (m *model) faulty(format string, args ...any) {
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

// play lets the processes go on until all turns are enqueued and the queue is empty.
func (m *model) play() {
	for i := range rapid.IntRange(1, 3).Draw(m.rt, "producers") {
		p := &producer{name: fmt.Sprint("producer ", i), lane: rapid.SampledFrom([]string{"x", "y"}).Draw(m.rt, "lane")}
		for n := range rapid.IntRange(1, 3).Draw(m.rt, "turns") {
			p.ids = append(p.ids, fmt.Sprintf("p%d.%d", i, n))
		}
		m.producers = append(m.producers, p)
		m.produce(p)
	}
	if rapid.Bool().Draw(m.rt, "sweep") {
		m.Enter("sweeper", m.sweeper)
	}
	for {
		hire := m.hired < 40 && m.busy() < 3 && m.rdb.LLen(context.Background(), "asynq:{default}:pending").Val() > 0
		moves := len(m.Actors)
		if hire {
			moves++
		}
		if moves == 0 {
			return
		}
		i := rapid.IntRange(0, moves-1).Draw(m.rt, "next")
		if i == len(m.Actors) {
			m.hire()
			continue
		}
		a, what := m.Actors[i], redistest.Answered
		if rapid.IntRange(0, 14).Draw(m.rt, "luck") == 0 {
			what = rapid.SampledFrom([]redistest.Fate{redistest.Twice, redistest.Unheard, redistest.Unsent}).Draw(m.rt, a.Name)
		}
		m.Step(a, what)
		if a.Dead {
			m.bury(a)
		}
		if what != redistest.Answered {
			m.revive()
		}
	}
}

func (m *model) busy() (workers int) {
	for _, a := range m.Actors {
		if _, ok := m.active[a.Name]; ok {
			workers++
		}
	}
	return workers
}

func (m *model) hire() {
	m.hired++
	name := fmt.Sprint("worker ", m.hired)
	m.active[name] = ""
	m.Enter(name, m.worker)
}

// revive brings back what is active with no worker: it has died, or never heard
// that it got the task.
func (m *model) revive() {
	for _, id := range m.rdb.LRange(context.Background(), "asynq:{default}:active", 0, -1).Val() {
		if !slices.ContainsFunc(m.Actors, func(a *redistest.Actor) bool { return m.active[a.Name] == id }) {
			m.Leave(id, "pending", time.Time{})
		}
	}
}

// bury lets a dead producer come back, or not.
func (m *model) bury(a *redistest.Actor) {
	for _, p := range m.producers {
		switch {
		case p.name != a.Name || p.gone:
		case rapid.IntRange(0, 3).Draw(m.rt, "comes back") > 0:
			m.produce(p)
		default:
			p.gone = true
			for _, id := range p.ids[p.done:] {
				m.lost[id] = true
			}
		}
	}
}

func (m *model) produce(p *producer) {
	atOnce := rapid.IntRange(1, len(p.ids)).Draw(m.rt, "at once")
	m.Enter(p.name, func(a *redistest.Actor) {
		client := tasks.NewClient(results.NewStore(a.Redis))
		for p.done < len(p.ids) {
			var items []tasks.Item
			for _, id := range p.ids[p.done:min(p.done+atOnce, len(p.ids))] {
				items = append(items, tasks.Item{Chat: tasktest.Turn(p.lane), Options: tasks.Options{ID: id}})
			}
			all := client.EnqueueAll(context.Background(), items)
			if a.Dead {
				return
			}
			for _, e := range all {
				if e.Err != nil && !errors.Is(e.Err, tasks.ErrDuplicate) {
					m.faulty("enqueue %s: %v", p.ids[p.done], e.Err)
					return
				}
				p.done++
			}
		}
	})
}

// worker does with one task what package worker does.
func (m *model) worker(a *redistest.Actor) {
	ctx := context.Background()
	id, err := tasktest.TakeScript.Run(ctx, a.Redis, nil).Text()
	if err != nil || id == "" {
		return
	}
	m.active[a.Name] = id
	info, err := m.Inspector.GetTaskInfo(tasks.QueueDefault, id)
	if err != nil {
		m.faulty("%s: %v", id, err)
		return
	}
	chat, err := tasks.Decode(info.Payload)
	if err != nil {
		m.faulty("%s: %v", id, err)
		return
	}
	place := lane.Place{Lane: chat.Lane(), Queue: tasks.QueueDefault, ID: id}
	lanes := lane.New(a.Redis)
	at, err := record.New(results.NewStore(a.Redis)).Begin(ctx, chat.Record(id, tasks.QueueDefault), false)
	if err != nil {
		return
	}
	if !at.Ended {
		_, head, err := lanes.Rejoin(ctx, place, chat.LaneSeq)
		if err != nil {
			return
		}
		if !head {
			if at.Wait(ctx, nil) == nil {
				m.end(ctx, a, id, "retry")
			}
			return
		}
		if m.ask(ctx, at, place) != nil {
			return
		}
	}
	if lanes.Leave(ctx, place) != nil || a.Dead {
		return
	}
	m.end(ctx, a, id, "")
}

func (m *model) ask(ctx context.Context, at *record.Attempt, p lane.Place) error {
	if other := m.running[p.Lane]; other != "" {
		m.faulty("%s runs while %s does", p.ID, other)
	}
	m.running[p.Lane] = p.ID
	defer delete(m.running, p.Lane)
	if err := at.Asking(ctx, "c1"); err != nil {
		return err
	}
	at.Result.Status = results.Completed
	err := at.Finish(ctx, false)
	if m.Status(p.ID) == results.Completed { // also where it died before the reply
		if slices.Contains(m.finished, p.ID) {
			m.faulty("%s has ended twice", p.ID)
		}
		m.finished = append(m.finished, p.ID)
	}
	return err
}

// end tells asynq; what a dead worker could not tell, revive finds.
func (m *model) end(ctx context.Context, a *redistest.Actor, id, state string) {
	_ = tasktest.LeaveScript.Run(ctx, a.Redis, nil, id, state, time.Now().AddDate(10, 0, 0).Unix()).Err()
}

// sweeper looks while the others work, and too early to drop anybody.
func (m *model) sweeper(a *redistest.Actor) {
	lanes := lane.New(a.Redis)
	for range 3 {
		m.age()
		if _, err := lanes.Rebuild(context.Background(), []string{tasks.QueueDefault}); err != nil {
			return
		}
		dropped, err := lanes.Sweep(context.Background())
		if err != nil {
			return
		}
		for _, p := range dropped {
			// What has ended and did not leave yet may be helped out.
			if m.Status(p.ID) != results.Completed {
				m.faulty("the sweep dropped %s", p.ID)
			}
		}
	}
}

// age makes the sweep look at lanes now, but for those that a producer has noted in
// the registry and not joined yet: it does so within sweepAge, or the sweep may
// take the lane off the registry again.
func (m *model) age() {
	ctx := context.Background()
	for _, key := range []string{"x", "y"} {
		lane := "key:bot:" + key
		joining := slices.ContainsFunc(m.producers, func(p *producer) bool {
			return p.lane == key && p.done < len(p.ids) && !p.gone &&
				m.rdb.ZScore(ctx, "cozeq:lane:{"+lane+"}", "default/"+p.ids[p.done]).Err() != nil
		})
		if !joining {
			m.Must(m.rdb.ZAddXX(ctx, "cozeq:lanes", redis.Z{Score: float64(time.Now().Unix() - 60), Member: lane}).Err())
		}
	}
}

// settle sweeps, and lets one worker that does not die do what is left. Each sweep
// frees a lane of one turn that never came.
func (m *model) settle() {
	for range 2 + len(m.lost) {
		m.work()
		tasktest.Age(m.t, m.rdb)
		if _, err := m.Lanes.Rebuild(context.Background(), []string{tasks.QueueDefault}); err != nil {
			m.rt.Fatal(err)
		}
		dropped, err := m.Lanes.Sweep(context.Background())
		if err != nil {
			m.rt.Fatal(err)
		}
		for _, p := range dropped {
			if !m.lost[p.ID] && !slices.Contains(m.finished, p.ID) {
				m.rt.Errorf("the sweep dropped %s", p.ID)
			}
		}
		m.work()
	}
}

func (m *model) work() {
	for m.rdb.LLen(context.Background(), "asynq:{default}:pending").Val() > 0 {
		m.hire()
		for len(m.Actors) > 0 {
			m.Step(m.Actors[0], redistest.Answered)
		}
	}
}

func (m *model) judge() {
	for _, f := range m.faults {
		m.rt.Error(f)
	}
	for _, p := range m.producers {
		last := -1
		for _, id := range p.ids[:p.done] {
			at := slices.Index(m.finished, id)
			if at < 0 {
				m.rt.Errorf("%s never ran: it is %s in asynq, %s", id, m.State(id), m.Status(id))
			}
			if at >= 0 && at < last {
				m.rt.Errorf("%s ran before the turn before it: %q", id, m.finished)
			}
			last = max(last, at)
		}
	}
	heads, err := m.Lanes.Heads(context.Background(), []string{"key:bot:x", "key:bot:y"})
	if err != nil || heads[0] != (lane.Place{}) || heads[1] != (lane.Place{}) {
		m.rt.Errorf("still in their lanes: %v, %v", heads, err)
	}
	if left := m.rdb.Keys(context.Background(), "asynq:{default}:t:*").Val(); len(left) > 0 {
		m.rt.Errorf("left in the queue: %q", left)
	}
}
