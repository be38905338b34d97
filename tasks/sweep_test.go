package tasks_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/tasks"
)

// sweep expects these turns to be dropped from the lane.
func (l *line) sweep(want ...string) {
	l.t.Helper()
	dropped, err := l.lanes.Sweep(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	var got []string
	for _, p := range dropped {
		if p != place(p.ID) {
			l.t.Errorf("dropped %+v", p)
		}
		got = append(got, p.ID)
	}
	if !slices.Equal(got, want) {
		l.t.Errorf("dropped %q, want %q", got, want)
	}
}

func TestSweep(t *testing.T) {
	later := time.Now().Add(time.Minute)
	tests := []struct {
		name    string
		reach   func(l *line)
		dropped []string
		lane    []string
		states  []string
	}{
		{"nothing is wrong", nil, nil, []string{"a", "b"}, []string{"a", "pending", "b", "far"}},
		{"active", func(l *line) { l.take("a") }, nil, []string{"a", "b"}, []string{"a", "active", "b", "far"}},
		{"backs off", func(l *line) {
			l.take("a")
			l.leave("a", "retry", later)
		}, nil, []string{"a", "b"}, []string{"a", "retry", "b", "far"}},
		{"the head waits as if it were not", func(l *line) {
			l.must(l.rdb.ZRem(l.t.Context(), "cozeq:lane:{"+laneTalk+"}", "default/a").Err())
		}, nil, []string{"b"}, []string{"b", "pending"}},
		{"the head was put aside as if it were not", func(l *line) {
			l.take("a")
			l.leave("a", "retry", time.Now().AddDate(9, 0, 0))
		}, nil, []string{"a", "b"}, []string{"a", "pending", "b", "far"}},
		{"deleted in asynqmon", func(l *line) {
			l.must(l.inspector.DeleteTask("default", "a"))
		}, []string{"a"}, []string{"b"}, []string{"a", "none", "b", "pending"}},
		{"archived in asynqmon", func(l *line) {
			l.must(l.inspector.ArchiveTask("default", "a"))
		}, []string{"a"}, []string{"b"}, []string{"a", "archived", "b", "pending"}},
		{"completed, did not leave", func(l *line) {
			l.take("a")
			l.leave("a", "completed", later)
		}, []string{"a"}, []string{"b"}, []string{"a", "completed", "b", "pending"}},
	}
	each(t, func(t *testing.T, l *line) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				redistest.Flush(t, l.rdb)
				l := newLine(t, l.rdb)
				l.enqueue(turn("talk"), "a")
				l.enqueue(turn("talk"), "b")
				if tt.reach != nil {
					tt.reach(l)
				}
				before := l.state("a")
				l.sweep() // something happened in the lane a moment ago
				l.states("a", before)
				age(t, l.rdb)
				l.sweep(tt.dropped...)
				l.members(tt.lane...)
				l.states(tt.states...)
				l.sweep() // it has looked at the lane just now
				age(t, l.rdb)
				l.sweep()
				l.members(tt.lane...)
				l.states(tt.states...)
			})
		}
	})
}

// A producer died between its two steps; a slow one gets its time.
func TestSweepPhantoms(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.join("phantom", "another")
		l.enqueue(turn("talk"), "a")
		ageRegistry(t, l.rdb)
		l.sweep() // it may still come
		l.members("phantom", "another", "a")
		age(t, l.rdb)
		l.sweep("phantom")
		age(t, l.rdb)
		l.sweep("another")
		l.members("a")
		l.states("a", "pending")
		if n := l.rdb.ZCard(t.Context(), "cozeq:lanes").Val(); n != 1 {
			t.Errorf("%d lanes are registered", n)
		}
		l.must(l.lanes.Leave(t.Context(), place("a")))
		ageRegistry(t, l.rdb)
		l.sweep()
		if n := l.rdb.ZCard(t.Context(), "cozeq:lanes").Val(); n != 0 {
			t.Errorf("an empty lane is still registered")
		}
	})
}

// The registry is read in chunks; lanes that are empty leave it.
func TestSweepMany(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		const lanes = 1100
		pipe := l.rdb.Pipeline()
		for i := range lanes {
			pipe.ZAdd(t.Context(), "cozeq:lanes", redis.Z{Score: float64(time.Now().Unix() - 60), Member: fmt.Sprint("id:", i)})
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.join("a")
		l.sweep()
		if left := l.rdb.ZRange(t.Context(), "cozeq:lanes", 0, -1).Val(); !slices.Equal(left, []string{laneTalk}) {
			t.Errorf("%d lanes are left: %.80q", len(left), left)
		}
	})
}

func (l *line) rebuild(want int) {
	l.t.Helper()
	n, err := l.lanes.Rebuild(l.t.Context(), []string{tasks.QueueCritical, tasks.QueueDefault, "never used"})
	if err != nil || n != want {
		l.t.Errorf("%d turns put back, %v; want %d", n, err, want)
	}
}

func TestRebuild(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		seqs := map[string]int64{}
		for _, id := range []string{"a", "b", "c"} {
			l.enqueue(turn("talk"), id)
			info, err := l.inspector.GetTaskInfo("default", id)
			if err != nil {
				t.Fatal(err)
			}
			chat, err := tasks.Decode(info.Payload)
			if err != nil {
				t.Fatal(err)
			}
			seqs[id] = chat.LaneSeq
		}
		// What else may be scheduled far ahead is nobody's turn.
		client := asynq.NewClientFromRedisClient(l.rdb)
		for _, task := range []*asynq.Task{
			asynq.NewTask("report:yearly", nil),
			asynq.NewTask(tasks.TypeChat, []byte(`{"v":1,"additional_messages":[]}`)),
			asynq.NewTask(tasks.TypeChat, []byte(`no JSON`)),
		} {
			if _, err := client.Enqueue(task, asynq.Queue("default"), asynq.ProcessIn(10*365*24*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		l.rebuild(0)
		l.take("a")
		l.leave("a", "retry", time.Now().Add(time.Minute)) // a waits for a limit
		l.must(l.rdb.Del(t.Context(), "cozeq:lane:{"+laneTalk+"}").Err())
		l.must(l.rdb.Del(t.Context(), "cozeq:lanes").Err())

		l.rebuild(2)
		l.members("b", "c")
		l.states("b", "pending", "c", "far") // the first that is known
		if n := l.rdb.ZCard(t.Context(), "asynq:{default}:scheduled").Val(); n != 4 {
			t.Errorf("%d scheduled, want c and the three others", n)
		}
		if n := l.rdb.ZCard(t.Context(), "cozeq:lanes").Val(); n != 1 {
			t.Errorf("%d lanes registered", n)
		}
		// The true head comes and is the head again; b has to wait after all.
		if at, head, err := l.lanes.Rejoin(t.Context(), place("a"), seqs["a"]); !head || at != seqs["a"] || err != nil {
			t.Errorf("a: %d, %v, %v", at, head, err)
		}
		if at, head, err := l.lanes.Rejoin(t.Context(), place("b"), seqs["b"]); head || at != seqs["b"] || err != nil {
			t.Errorf("b: %d, %v, %v", at, head, err)
		}
		l.take("b")
		l.leave("b", "retry", time.Now().AddDate(10, 0, 0))
		l.rebuild(0)
		l.members("a", "b", "c")
		// It is handed on as ever, from the retry set too.
		l.must(l.lanes.Leave(t.Context(), place("a")))
		l.states("b", "pending", "c", "far")
	})
}
