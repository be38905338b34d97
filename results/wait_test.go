package results_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

// reads stands between a store and its reads of many records: those of waiters.
type reads struct {
	redis.Hook
	before func()
	after  func(n int)
	err    func() error // instead of the read, where it is not nil
}

func (r reads) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (r reads) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (r reads) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) == 0 || cmds[0].Name() != "hget" {
			return next(ctx, cmds)
		}
		if r.before != nil {
			r.before()
		}
		if r.err != nil {
			if err := r.err(); err != nil {
				for _, cmd := range cmds {
					cmd.SetErr(err)
				}
				return err
			}
		}
		err := next(ctx, cmds)
		if r.after != nil {
			r.after(len(cmds))
		}
		return err
	}
}

func TestWait(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		writer := tasktest.NewStore(t, rdb)
		check := func(t *testing.T, id string, hook redis.Hook) {
			t.Helper()
			r, err := tasktest.NewStore(t, redistest.Hooked(t, rdb, hook)).Wait(t.Context(), id)
			if err != nil || r.ID != id || r.Status != results.Completed || r.Answer != "yes" {
				t.Errorf("got %+v, %v", r, err)
			}
		}
		t.Run("ended before", func(t *testing.T) {
			tasktest.Create(t, writer, "before")
			tasktest.Answer(t, writer, "before", "yes")
			check(t, "before", reads{})
		})
		// The subscription stands, the record is not read yet.
		t.Run("ends before the read", func(t *testing.T) {
			tasktest.Create(t, writer, "between")
			var once sync.Once
			ended := make(chan struct{})
			check(t, "between", reads{before: func() {
				once.Do(func() { defer close(ended); tasktest.Answer(t, writer, "between", "yes") })
			}})
			<-ended // the message may be here before the writer has its reply
		})
		t.Run("ends after the read", func(t *testing.T) {
			tasktest.Create(t, writer, "after")
			var once sync.Once
			ended := make(chan struct{})
			check(t, "after", reads{after: func(int) {
				once.Do(func() { defer close(ended); tasktest.Answer(t, writer, "after", "yes") })
			}})
			<-ended
		})
	})
}

func TestWaitUnknown(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := tasktest.NewStore(t, rdb)
		if r, err := s.Wait(t.Context(), "nobody"); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("got %+v, %v", r, err)
		}
		tasktest.Create(t, s, "t1", "t2")
		tasktest.Answer(t, s, "t1", "yes")
		tasktest.Answer(t, s, "t2", "yes")
		got, unknown := 0, 0
		for r, err := range s.WaitAll(t.Context(), slices.Values([]string{"t1", "nobody", "t2", "nobody else"})) {
			switch {
			case errors.Is(err, results.ErrNotFound):
				unknown++
			case err == nil && r.Answer == "yes":
				got++
			default:
				t.Errorf("got %+v, %v", r, err)
			}
		}
		if got != 2 || unknown != 2 {
			t.Errorf("%d results and %d unknown, want 2 and 2", got, unknown)
		}
	})
}

func TestWaitAllInOrderOfEnd(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		writer := tasktest.NewStore(t, rdb)
		ids := []string{"a", "b", "c", "d"}
		order := []string{"c", "a", "d", "b"}
		tasktest.Create(t, writer, ids...)
		seen := make(chan int, 100)
		s := tasktest.NewStore(t, redistest.Hooked(t, rdb, reads{after: func(n int) { seen <- n }}))
		var writing sync.WaitGroup
		defer writing.Wait()
		writing.Go(func() {
			for n := 0; n < len(ids); {
				n += <-seen // all are read, so the channel alone tells of the ends
			}
			for _, id := range order {
				tasktest.Answer(t, writer, id, "yes")
			}
		})
		var got []string
		for r, err := range s.WaitAll(t.Context(), slices.Values(ids)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.ID)
		}
		if _, nodes := rdb.(*redis.ClusterClient); nodes {
			// Each was published by another node, and news from different nodes overtake each other.
			slices.Sort(got)
			order = ids
		}
		if !slices.Equal(got, order) {
			t.Errorf("got %q, want %q", got, order)
		}
	})
}

// Of 2,000 tasks some have ended before, some end while they are subscribed to, and
// some end later; some are named twice.
func TestWaitAllMany(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const n = 2000
		s := tasktest.NewStore(t, rdb)
		ids := make([]string, n)
		pipe := rdb.Pipeline()
		for i := range ids {
			ids[i] = fmt.Sprint("t", i)
			pipe.HSet(t.Context(), results.Key(ids[i]), "id", ids[i], "status", "queued")
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids[:n/4] {
			tasktest.Answer(t, s, id, "yes")
		}
		var rest sync.WaitGroup
		defer rest.Wait()
		rest.Go(func() {
			for _, id := range ids[n/4:] {
				tasktest.Answer(t, s, id, "yes")
			}
		})
		got := make(map[string]int, n)
		twice := slices.Concat(ids[n-100:], ids)
		for r, err := range s.WaitAll(t.Context(), slices.Values(twice)) {
			if err != nil || r.Answer != "yes" {
				t.Fatalf("got %+v, %v", r, err)
			}
			got[r.ID]++
		}
		for _, id := range ids {
			if got[id] == 0 {
				t.Fatalf("%s is missing", id)
			}
		}
	})
}

func TestRepeatedIDs(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := tasktest.NewStore(t, rdb)
		tasktest.Create(t, s, "t1")
		tasktest.Answer(t, s, "t1", "yes")
		n := 0
		for r, err := range s.WaitAll(t.Context(), slices.Values([]string{"t1", "t1", "t1"})) {
			if n++; err != nil || r.Answer != "yes" {
				t.Errorf("got %+v, %v", r, err)
			}
		}
		if n != 1 {
			t.Errorf("%d results of one task", n)
		}
	})
}

func TestTwoWaitersOnOneID(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		writer := tasktest.NewStore(t, rdb)
		tasktest.Create(t, writer, "t1")
		read := make(chan struct{}, 10)
		s := tasktest.NewStore(t, redistest.Hooked(t, rdb, reads{after: func(int) { read <- struct{}{} }}))
		add := func() *results.Waiter {
			w, err := s.NewWaiter()
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Add(t.Context(), "t1"); err != nil {
				t.Fatal(err)
			}
			<-read
			return w
		}
		first, second, third := add(), add(), add()
		second.Close() // gives up, and takes nothing away from the others
		tasktest.Answer(t, writer, "t1", "yes")
		late := add()
		for _, w := range []*results.Waiter{first, third, late} {
			if r, err := w.Next(t.Context()); err != nil || r.Answer != "yes" {
				t.Errorf("got %+v, %v", r, err)
			}
			w.Close()
		}
	})
}

// A waiter may add tasks while another goroutine takes results.
func TestWaiterWindow(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const n = 60
		s := tasktest.NewStore(t, rdb)
		w, err := s.NewWaiter()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		var adding sync.WaitGroup
		defer adding.Wait()
		adding.Go(func() {
			for i := range n {
				id := fmt.Sprint("t", i)
				tasktest.Create(t, s, id)
				if err := w.Add(t.Context(), id); err != nil {
					t.Error(err)
				}
				tasktest.Answer(t, s, id, "yes")
			}
		})
		for range n {
			if r, err := w.Next(t.Context()); err != nil || r.Answer != "yes" {
				t.Fatalf("got %+v, %v", r, err)
			}
		}
	})
}

func TestWaitGivenUp(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := tasktest.NewStore(t, rdb)
		tasktest.Create(t, s, "t1")
		why := errors.New("no more patience")
		ctx, cancel := context.WithCancelCause(t.Context())
		waiting := make(chan error)
		go func() {
			_, err := s.Wait(ctx, "t1")
			waiting <- err
		}()
		cancel(why)
		if err := <-waiting; !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
		// The next waiter of the same task is not harmed.
		tasktest.Answer(t, s, "t1", "yes")
		if r, err := s.Wait(t.Context(), "t1"); err != nil || r.Answer != "yes" {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

// Who waits next must not lose its subscription to who has given up just now. With
// a lost one the end would be found at the next look at all records, 30 s later.
func TestWaitersChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := tasktest.NewStore(t, redistest.Embedded(t))
		start := time.Now()
		for i := range 100 {
			id := fmt.Sprint("t", i)
			tasktest.Create(t, s, id)
			first, err := s.NewWaiter()
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Add(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			second, err := s.NewWaiter()
			if err != nil {
				t.Fatal(err)
			}
			go first.Close()
			go func() {
				if err := second.Add(t.Context(), id); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
			tasktest.Answer(t, s, id, "yes")
			if r, err := second.Next(t.Context()); err != nil || r.Answer != "yes" {
				t.Fatalf("got %+v, %v", r, err)
			}
			second.Close()
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("it took %v of the bubble's time: a message was missed", took)
		}
	})
}

// Redis takes subscriptions while it loads its file and reads only after.
func TestWaitReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdb := redistest.Embedded(t)
		writer := tasktest.NewStore(t, rdb)
		tasktest.Create(t, writer, "t1")
		tasktest.Answer(t, writer, "t1", "yes")
		failures := 3
		s := tasktest.NewStore(t, redistest.Hooked(t, rdb, reads{err: func() error {
			if failures--; failures >= 0 {
				return errors.New("LOADING Redis is loading the dataset in memory")
			}
			return nil
		}}))
		start := time.Now()
		if r, err := s.Wait(t.Context(), "t1"); err != nil || r.Answer != "yes" {
			t.Errorf("got %+v, %v", r, err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("it took %v of the bubble's time", took)
		}
	})
}

// Pub/sub promises no delivery: a message that is lost without a trace costs time,
// not the result.
func TestLostMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdb := redistest.Embedded(t)
		s := tasktest.NewStore(t, rdb)
		tasktest.Create(t, s, "t1")
		got := make(chan *results.Result)
		go func() {
			r, err := s.Wait(t.Context(), "t1")
			if err != nil {
				t.Error(err)
			}
			got <- r
		}()
		synctest.Wait()
		err := rdb.HSet(t.Context(), results.Key("t1"), "status", "completed", "answer", "yes").Err()
		if err != nil {
			t.Fatal(err)
		}
		if r := <-got; r == nil || r.Answer != "yes" {
			t.Errorf("got %+v", r)
		}
	})
}

func TestForeignMessage(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := tasktest.NewStore(t, rdb)
		tasktest.Create(t, s, "t1")
		w, err := s.NewWaiter()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := w.Add(t.Context(), "t1"); err != nil {
			t.Fatal(err)
		}
		for _, m := range []string{"", "hello", "{}", `{"id":"t1","status":"running"}`, `["t1"]`, `{"status":1}`} {
			if err := rdb.Publish(t.Context(), results.Channel("t1"), m).Err(); err != nil {
				t.Fatal(err)
			}
		}
		tasktest.Answer(t, s, "t1", "yes")
		if r, err := w.Next(t.Context()); err != nil || r.Status != results.Completed || r.Answer != "yes" {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

func TestClose(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		read := make(chan struct{}, 10)
		s := results.NewStore(redistest.Hooked(t, rdb, reads{after: func(int) { read <- struct{}{} }}))
		tasktest.Create(t, s, "t1", "t2")
		idle, err := s.NewWaiter()
		if err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error)
		go func() {
			_, err := idle.Next(t.Context()) // it waits for nothing yet
			waiting <- err
		}()
		go func() {
			_, err := s.Wait(t.Context(), "t1")
			waiting <- err
		}()
		<-read
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-waiting; !errors.Is(err, results.ErrClosed) {
				t.Errorf("a waiter got %v", err)
			}
		}
		if err := idle.Add(t.Context(), "t2"); !errors.Is(err, results.ErrClosed) {
			t.Errorf("Add: %v", err)
		}
		if _, err := s.NewWaiter(); !errors.Is(err, results.ErrClosed) {
			t.Errorf("NewWaiter: %v", err)
		}
		if _, err := s.Wait(t.Context(), "t1"); !errors.Is(err, results.ErrClosed) {
			t.Errorf("Wait: %v", err)
		}
		idle.Close()
		if err := s.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
		if err := tasktest.NewStore(t, rdb).Close(); err != nil {
			t.Errorf("Close of a store that nobody waited on: %v", err)
		}
	})
}

// lateContext is one whose deadline has passed before it says so.
type lateContext struct {
	context.Context
	over chan struct{}
}

func (c lateContext) Deadline() (time.Time, bool) { return time.Now().Add(-time.Hour), true }
func (c lateContext) Done() <-chan struct{}       { return c.over }
func (c lateContext) Err() error {
	select {
	case <-c.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestWaitAtDeadline: the connection has the context's deadline, and its own error for it may come first.
func TestWaitAtDeadline(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	defer rdb.Close()
	ctx := lateContext{t.Context(), make(chan struct{})}
	time.AfterFunc(50*time.Millisecond, func() { close(ctx.over) }) // long after the connection's error
	if _, err := tasktest.NewStore(t, rdb).Wait(ctx, "x"); err != context.DeadlineExceeded {
		t.Errorf("%v, want the context's own error", err)
	}
}
