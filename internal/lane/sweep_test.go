package lane_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// sweep expects these turns to be dropped from the lane.
func sweep(l *tasktest.Line, want ...string) {
	l.T.Helper()
	dropped, err := l.Lanes.Sweep(l.T.Context())
	if err != nil {
		l.T.Fatal(err)
	}
	var got []string
	for _, p := range dropped {
		if p != tasktest.Place(p.ID) {
			l.T.Errorf("dropped %+v", p)
		}
		got = append(got, p.ID)
	}
	if !slices.Equal(got, want) {
		l.T.Errorf("dropped %q, want %q", got, want)
	}
}

func TestSweep(t *testing.T) {
	later := time.Now().Add(time.Minute)
	tests := []struct {
		name    string
		reach   func(l *tasktest.Line)
		dropped []string
		lane    []string
		states  []string
	}{
		{"nothing is wrong", nil, nil, []string{"a", "b"}, []string{"a", "pending", "b", "far"}},
		{"active", func(l *tasktest.Line) { l.Take("a") }, nil, []string{"a", "b"}, []string{"a", "active", "b", "far"}},
		{"backs off", func(l *tasktest.Line) {
			l.Take("a")
			l.Leave("a", "retry", later)
		}, nil, []string{"a", "b"}, []string{"a", "retry", "b", "far"}},
		{"the head waits as if it were not", func(l *tasktest.Line) {
			l.Must(l.Redis.ZRem(l.T.Context(), "cozeq:lane:{"+tasktest.Talk+"}", "default/a").Err())
		}, nil, []string{"b"}, []string{"b", "pending"}},
		{"the head was moved back as if it were not the head", func(l *tasktest.Line) {
			l.Take("a")
			l.Leave("a", "retry", time.Now().AddDate(9, 0, 0))
		}, nil, []string{"a", "b"}, []string{"a", "pending", "b", "far"}},
		{"deleted in asynqmon", func(l *tasktest.Line) {
			l.Must(l.Inspector.DeleteTask("default", "a"))
		}, []string{"a"}, []string{"b"}, []string{"a", "none", "b", "pending"}},
		{"archived in asynqmon", func(l *tasktest.Line) {
			l.Must(l.Inspector.ArchiveTask("default", "a"))
		}, []string{"a"}, []string{"b"}, []string{"a", "archived", "b", "pending"}},
		{"completed, did not leave", func(l *tasktest.Line) {
			l.Take("a")
			l.Leave("a", "completed", later)
		}, []string{"a"}, []string{"b"}, []string{"a", "completed", "b", "pending"}},
	}
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				redistest.Flush(t, l.Redis)
				l := tasktest.New(t, l.Redis)
				l.Enqueue(tasktest.Turn("talk"), "a")
				l.Enqueue(tasktest.Turn("talk"), "b")
				if tt.reach != nil {
					tt.reach(l)
				}
				before := l.State("a")
				sweep(l) // something happened in the lane a moment ago
				l.States("a", before)
				tasktest.Age(t, l.Redis)
				sweep(l, tt.dropped...)
				l.Members(tt.lane...)
				l.States(tt.states...)
				sweep(l) // it has looked at the lane just now
				tasktest.Age(t, l.Redis)
				sweep(l)
				l.Members(tt.lane...)
				l.States(tt.states...)
			})
		}
	})
}

// A producer died between its two steps; a slow one gets its time.
func TestSweepPhantoms(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		join(l, "phantom", "another")
		l.Enqueue(tasktest.Turn("talk"), "a")
		tasktest.AgeRegistry(t, l.Redis)
		sweep(l) // it may still come
		l.Members("phantom", "another", "a")
		tasktest.Age(t, l.Redis)
		sweep(l, "phantom")
		tasktest.Age(t, l.Redis)
		sweep(l, "another")
		l.Members("a")
		l.States("a", "pending")
		if n := l.Redis.ZCard(t.Context(), "cozeq:lanes").Val(); n != 1 {
			t.Errorf("%d lanes are registered", n)
		}
		l.Must(l.Lanes.Leave(t.Context(), tasktest.Place("a")))
		tasktest.AgeRegistry(t, l.Redis)
		sweep(l)
		if n := l.Redis.ZCard(t.Context(), "cozeq:lanes").Val(); n != 0 {
			t.Errorf("an empty lane is still registered")
		}
	})
}

// The registry is read in chunks; lanes that are empty leave it.
func TestSweepMany(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		const lanes = 1100
		pipe := l.Redis.Pipeline()
		for i := range lanes {
			pipe.ZAdd(t.Context(), "cozeq:lanes", redis.Z{Score: float64(time.Now().Unix() - 60), Member: fmt.Sprint("id:", i)})
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		join(l, "a")
		sweep(l)
		if left := l.Redis.ZRange(t.Context(), "cozeq:lanes", 0, -1).Val(); !slices.Equal(left, []string{tasktest.Talk}) {
			t.Errorf("%d lanes are left: %.80q", len(left), left)
		}
	})
}

func rebuild(l *tasktest.Line, want int) {
	l.T.Helper()
	n, err := l.Lanes.Rebuild(l.T.Context(), []string{tasks.QueueCritical, tasks.QueueDefault, "never used"})
	if err != nil || n != want {
		l.T.Errorf("%d turns put back, %v; want %d", n, err, want)
	}
}

func TestRebuild(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		seqs := map[string]int64{}
		for _, id := range []string{"a", "b", "c"} {
			l.Enqueue(tasktest.Turn("talk"), id)
			info, err := l.Inspector.GetTaskInfo("default", id)
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
		client := asynq.NewClientFromRedisClient(l.Redis)
		for _, task := range []*asynq.Task{
			asynq.NewTask("report:yearly", nil),
			asynq.NewTask(tasks.TypeChat, []byte(`{"v":1,"additional_messages":[]}`)),
			asynq.NewTask(tasks.TypeChat, []byte(`no JSON`)),
		} {
			if _, err := client.Enqueue(task, asynq.Queue("default"), asynq.ProcessIn(lane.WaitsAhead)); err != nil {
				t.Fatal(err)
			}
		}
		rebuild(l, 0)
		l.Take("a")
		l.Leave("a", "retry", time.Now().Add(time.Minute)) // a waits for a limit
		l.Must(l.Redis.Del(t.Context(), "cozeq:lane:{"+tasktest.Talk+"}").Err())
		l.Must(l.Redis.Del(t.Context(), "cozeq:lanes").Err())

		rebuild(l, 2)
		l.Members("b", "c")
		l.States("b", "pending", "c", "far") // the first that is known
		if n := l.Redis.ZCard(t.Context(), "asynq:{default}:scheduled").Val(); n != 4 {
			t.Errorf("%d scheduled, want c and the three others", n)
		}
		if n := l.Redis.ZCard(t.Context(), "cozeq:lanes").Val(); n != 1 {
			t.Errorf("%d lanes registered", n)
		}
		// The true head comes and is the head again; b has to wait after all.
		if at, head, err := l.Lanes.Rejoin(t.Context(), tasktest.Place("a"), seqs["a"]); !head || at != seqs["a"] || err != nil {
			t.Errorf("a: %d, %v, %v", at, head, err)
		}
		if at, head, err := l.Lanes.Rejoin(t.Context(), tasktest.Place("b"), seqs["b"]); head || at != seqs["b"] || err != nil {
			t.Errorf("b: %d, %v, %v", at, head, err)
		}
		l.Take("b")
		l.Leave("b", "retry", time.Now().AddDate(10, 0, 0))
		rebuild(l, 0)
		l.Members("a", "b", "c")
		// It is handed on as ever, from the retry set too.
		l.Must(l.Lanes.Leave(t.Context(), tasktest.Place("a")))
		l.States("b", "pending", "c", "far")
	})
}

// A turn that was answered between two steps of a repeated Enqueue is in asynq once more, and in no lane. A worker gets it, and
// sees that it has ended.
func TestRebuildEnded(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		l.Enqueue(tasktest.Turn("talk"), "a")
		l.Enqueue(tasktest.Turn("talk"), "b")
		l.Must(l.Redis.HSet(t.Context(), "cozeq:result:{b}", "status", string(results.Completed)).Err())
		rebuild(l, 0)
		l.States("b", "far") // it waits in its lane
		l.Must(l.Lanes.Leave(t.Context(), tasktest.Place("b")))
		rebuild(l, 0)
		l.States("a", "pending", "b", "pending")
		l.Members("a")
	})
}

// The head of a tenant waits in the tenant's list: that is no stuck lane. If Redis loses the lane, it is put back as the
// head, before the turns that wait for it.
func TestHeadOfTenant(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		listed := func(want ...string) {
			t.Helper()
			got, err := l.Redis.LRange(t.Context(), "cozeq:queue:{default}:tenants:shop", 0, -1).Result()
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("the tenant's list is %q, %v; want %q", got, err, want)
			}
		}
		turn := tasktest.Turn("talk")
		turn.Tenant = "shop"
		l.Enqueue(turn, "a")
		l.Enqueue(turn, "b")
		l.Enqueue(turn, "c")
		listed("a")
		l.Must(l.Lanes.Run(t.Context(), tasktest.Place("a")))
		tasktest.Age(t, l.Redis)
		sweep(l)
		listed("a")
		l.Must(l.Redis.Del(t.Context(), "cozeq:lane:{"+tasktest.Talk+"}").Err())
		rebuild(l, 2)
		l.Members("a", "b", "c")
		listed("a")
		l.Must(l.Lanes.Leave(t.Context(), tasktest.Place("a")))
		listed("a", "b")
		l.Members("b", "c")
		rebuild(l, 0)
	})
}
