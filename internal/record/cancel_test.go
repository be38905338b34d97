package record_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

func TestCancel(t *testing.T) {
	type state struct {
		name  string
		reach func(t *testing.T, s store, id string)
		want  results.Status // what Cancel returns; canceled = it ended here
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	states := []state{
		{"queued", func(*testing.T, store, string) {}, results.Canceled},
		{"running", func(t *testing.T, s store, id string) { tasktest.Begin(t, s.reader, id) }, results.Running},
		{"waiting", func(t *testing.T, s store, id string) {
			must(t, tasktest.Begin(t, s.reader, id).Wait(t.Context(), &results.Failure{Code: 4013, Class: "rate", Message: "too fast", LogID: "log", Hint: "wait"}))
		}, results.Canceled},
		{"waiting with a chat", func(t *testing.T, s store, id string) {
			a := tasktest.Begin(t, s.reader, id)
			must(t, a.Created(t.Context(), "c1", "chat1"))
			must(t, a.Wait(t.Context(), nil))
		}, results.Waiting},
		{"waiting, perhaps asked", func(t *testing.T, s store, id string) {
			a := tasktest.Begin(t, s.reader, id)
			must(t, a.Asking(t.Context(), "c1"))
			must(t, a.Wait(t.Context(), nil))
		}, results.Waiting},
		{"waiting, its chat forgotten", func(t *testing.T, s store, id string) {
			a := tasktest.Begin(t, s.reader, id)
			must(t, a.Created(t.Context(), "c1", "chat1"))
			a.Result.ChatID = ""
			must(t, a.Wait(t.Context(), nil))
		}, results.Canceled},
		{"completed", func(t *testing.T, s store, id string) { tasktest.Answer(t, s.reader, id, "yes") }, results.Completed},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		workers := rdb.Subscribe(ctx, "cozeq:cancel")
		defer workers.Close()
		if _, err := workers.Receive(ctx); err != nil {
			t.Fatal(err)
		}
		for _, state := range states {
			t.Run(state.name, func(t *testing.T) {
				s := newStore(t, rdb)
				id := state.name
				tasktest.Create(t, s.reader, id)
				state.reach(t, s, id)
				before := tasktest.Get(t, s.reader, id)
				c := hear(t, rdb, id)
				for range 2 {
					r, err := s.Cancel(ctx, id)
					if err != nil || r.Status != state.want || r.ID != id {
						t.Fatalf("got %+v, %v; want %s", r, err, state.want)
					}
				}
				after, told := tasktest.Get(t, s.reader, id), c.messages()
				marked, err := s.CancelRequested(ctx, []string{"nobody", id})
				if err != nil {
					t.Fatal(err)
				}
				if state.want == results.Canceled {
					if len(told) != 1 || len(marked) != 0 {
						t.Fatalf("told %q, marked %q", told, marked)
					}
					var message results.Result
					if err := json.Unmarshal([]byte(told[0]), &message); err != nil {
						t.Fatal(err)
					}
					after.Queue = ""
					if !reflect.DeepEqual(message, *after) {
						t.Errorf("the message and the hash differ:\n%+v\n%+v", message, *after)
					}
					if e := after.Error; e == nil || e.Class != "canceled" || e.Code != 0 || e.LogID != "" || e.Hint != "" || after.CompletedAt.IsZero() {
						t.Errorf("got %+v, %+v", after, e)
					}
					if b := tasktest.Begin(t, s.reader, id); !b.Ended {
						t.Error("a worker may still begin it")
					}
					return
				}
				if len(told) != 0 || !reflect.DeepEqual(before, after) {
					t.Errorf("told %q; was %+v, is %+v", told, before, after)
				}
				if state.want.Terminal() {
					if len(marked) != 0 {
						t.Errorf("marked %q", marked)
					}
					return
				}
				if !slices.Equal(marked, []string{id}) {
					t.Errorf("marked %q", marked)
				}
				for range 2 {
					if m, err := workers.ReceiveMessage(ctx); err != nil || m.Payload != id {
						t.Errorf("workers heard %+v, %v", m, err)
					}
				}
				b := tasktest.Begin(t, s.reader, id)
				if !b.CancelRequested {
					t.Error("the next worker is not told")
				}
				tasktest.Finish(t, b, "too late")
				if marked, err := s.CancelRequested(ctx, []string{id}); err != nil || len(marked) != 0 {
					t.Errorf("still marked after its end: %q, %v", marked, err)
				}
			})
		}
	})
}

// between calls f once, after a client's first command of that name.
type between struct {
	name string
	f    func()
	done bool
}

func (*between) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (b *between) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == b.name && !b.done {
			b.done = true
			b.f()
		}
		return err
	}
}

// A worker takes the task up between Cancel's look and its write.
func TestCancelMeetsWorker(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		tests := []struct {
			name string
			work func(s store, id string) error
			want results.Status
			mark bool
		}{
			{"begins", func(s store, id string) error {
				tasktest.Begin(t, s.reader, id)
				return nil
			}, results.Running, true},
			{"ends", func(s store, id string) error {
				tasktest.Answer(t, s.reader, id, "yes")
				return nil
			}, results.Completed, false},
			{"puts aside", func(s store, id string) error {
				return tasktest.Begin(t, s.reader, id).Wait(ctx, nil)
			}, results.Canceled, false},
			// It waits before and after, but now it has a chat that must be canceled.
			{"asks and puts aside", func(s store, id string) error {
				a := tasktest.Begin(t, s.reader, id)
				return errors.Join(a.Created(ctx, "c1", "chat1"), a.Wait(ctx, nil))
			}, results.Waiting, true},
		}
		for _, tt := range tests {
			worker := newStore(t, rdb)
			tasktest.Create(t, worker.reader, tt.name)
			if err := tasktest.Begin(t, worker.reader, tt.name).Wait(ctx, nil); err != nil {
				t.Fatal(err)
			}
			hook := &between{name: "hgetall", f: func() {
				if err := tt.work(worker, tt.name); err != nil {
					t.Error(err)
				}
			}}
			r, err := newStore(t, redistest.Hooked(t, rdb, hook)).Cancel(ctx, tt.name)
			if err != nil || r.Status != tt.want {
				t.Errorf("%s: %+v, %v; want %s", tt.name, r, err, tt.want)
			}
			if marked, err := worker.CancelRequested(ctx, []string{tt.name}); err != nil || len(marked) == 1 != tt.mark {
				t.Errorf("%s: marked %q, %v", tt.name, marked, err)
			}
		}
	})
}

func TestCancellations(t *testing.T) {
	server := redistest.Start(t)
	proxy := server.Delay(0)
	s := newStore(t, proxy.Client())
	direct := newStore(t, server.Client())
	tasktest.Create(t, direct.reader, "t1", "t2")
	tasktest.Begin(t, direct.reader, "t1")
	tasktest.Begin(t, direct.reader, "t2")

	ctx, cancel := context.WithCancel(t.Context())
	ids, checks, ended := make(chan string), make(chan struct{}), make(chan error)
	go func() {
		ended <- s.Cancellations(ctx, func(id string) { ids <- id }, func() { checks <- struct{}{} })
	}()
	<-checks
	if _, err := direct.Cancel(t.Context(), "t1"); err != nil {
		t.Fatal(err)
	}
	if id := <-ids; id != "t1" {
		t.Errorf("got %q", id)
	}
	proxy.Break()
	<-checks // requests may have been missed
	if _, err := direct.Cancel(t.Context(), "t2"); err != nil {
		t.Fatal(err)
	}
	if id := <-ids; id != "t2" {
		t.Errorf("got %q", id)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
