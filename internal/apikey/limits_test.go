package apikey_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// desk is a Redis with two serve processes' limits.
type desk struct {
	*tasktest.Line
	limits []*apikey.Limits
	n      int
}

func each(t *testing.T, f func(t *testing.T, d *desk)) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := tasktest.New(t, rdb)
		f(t, &desk{Line: l, limits: []*apikey.Limits{apikey.NewLimits(l.Store), apikey.NewLimits(l.Store)}})
	})
}

// next is the limits of the other process.
func (d *desk) next() *apikey.Limits {
	d.n++
	return d.limits[d.n%2]
}

func (d *desk) admitted(key *apikey.Key, ids ...string) {
	d.T.Helper()
	for _, id := range ids {
		if err := d.next().Admit(d.T.Context(), key, id); err != nil {
			d.T.Errorf("%s: %v", id, err)
		}
	}
}

// refused expects a LimitError and returns its RetryAfter.
func (d *desk) refused(err error, what string) time.Duration {
	d.T.Helper()
	e, ok := errors.AsType[*apikey.LimitError](err)
	if !ok || e.What != what {
		d.T.Fatalf("%v, want %s", err, what)
	}
	return e.RetryAfter
}

func TestRate(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		key := &apikey.Key{Name: "shop", Rate: apikey.Rate{N: 3, Per: time.Hour}}
		d.admitted(nil, "none", "none")
		d.admitted(&apikey.Key{Name: "free"}, "a", "b", "c", "d")
		d.admitted(key, "a", "b", "c")
		wait := d.refused(d.next().Admit(t.Context(), key, "d"), "its rate of 3/h")
		if wait <= 19*time.Minute || wait > 20*time.Minute {
			t.Errorf("come back in %v", wait)
		}
		d.admitted(&apikey.Key{Name: "another", Rate: key.Rate}, "a", "b", "c")
		if keys := redistest.Keys(t, d.Redis, "cozeq:apikey:*"); len(keys) != 2 {
			t.Error(keys)
		}

		// A batch of more than the rate comes when nothing is used up, and holds up what follows.
		big := &apikey.Key{Name: "big", Rate: apikey.Rate{N: 3, Per: time.Hour}}
		if err := d.next().AdmitBatch(t.Context(), big, "b", 30); err != nil {
			t.Fatal(err)
		}
		if wait := d.refused(d.next().Admit(t.Context(), big, "a"), "its rate of 3/h"); wait <= 9*time.Hour || wait > 10*time.Hour {
			t.Errorf("come back in %v", wait)
		}
		if wait := d.refused(d.next().AdmitBatch(t.Context(), key, "b", 4), "its rate of 3/h"); wait <= 59*time.Minute || wait > time.Hour {
			t.Errorf("come back in %v", wait)
		}
	})
}

// The rate comes back by Redis' clock.
func TestRateComesBack(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		key := &apikey.Key{Name: "shop", Rate: apikey.Rate{N: 100, Per: time.Second}}
		for n := range 300 {
			for {
				err := d.next().Admit(t.Context(), key, fmt.Sprint(n))
				if err == nil {
					break
				}
				if wait := d.refused(err, "its rate of 100/s"); wait <= 0 || wait > 10*time.Millisecond {
					t.Fatalf("come back in %v", wait)
				}
			}
		}
	})
}

func TestInFlight(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		key := &apikey.Key{Name: "shop", MaxInFlight: 3}
		const full = "its 3 in flight (3 are)"
		ask := func(id string) {
			t.Helper()
			d.admitted(key, id)
			d.Enqueue(tasks.Ask("bot", "why?"), id)
		}
		ask("a")
		ask("b")
		ask("c")
		d.admitted(key, "a", "b", "c") // again
		if wait := d.refused(d.next().Admit(t.Context(), key, "d"), full); wait <= 0 {
			t.Error(wait)
		}
		d.Answer("b")
		ask("d")
		d.refused(d.next().Admit(t.Context(), key, "e"), full)
		d.Must(d.Store.Delete(t.Context(), "a")) // its record is gone; a record of the last minute may still come
		d.refused(d.next().Admit(t.Context(), key, "e"), full)
		d.Must(d.Redis.ZIncrBy(t.Context(), "cozeq:apikey:{shop}:open", -61_000, "task:a").Err())
		ask("e")
		d.refused(d.next().Admit(t.Context(), key, "f"), full)
		d.admitted(&apikey.Key{Name: "another", MaxInFlight: 1}, "f")
	})
}

func TestInFlightOfBatches(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		key := &apikey.Key{Name: "shop", MaxInFlight: 10, Rate: apikey.Rate{N: 1000, Per: time.Hour}}
		bs := batches.New(d.Tasks)
		if wait := d.refused(d.next().AdmitBatch(t.Context(), key, "b", 11), "11 questions, at most 10 in flight"); wait != 0 {
			t.Errorf("come back in %v", wait)
		}
		for range 2 { // the reply was lost
			d.Must(d.next().AdmitBatch(t.Context(), key, "b", 6))
		}
		if _, _, err := bs.Create(t.Context(), batches.Spec{ID: "b", Rows: 6, Tenant: "shop"}); err != nil {
			t.Fatal(err)
		}
		var rows []batches.Row
		for n := 1; n <= 6; n++ {
			rows = append(rows, batches.Row{N: n, Chat: tasks.Ask("bot", "why?")})
		}
		d.Must(bs.Add(t.Context(), "b", rows))
		d.admitted(key, "1", "2", "3", "4")
		d.refused(d.next().Admit(t.Context(), key, "5"), "its 10 in flight (10 are)")
		for n := 1; n <= 4; n++ {
			if _, err := d.Tasks.Cancel(t.Context(), batches.TaskID("b", n, 1)); err != nil {
				t.Fatal(err)
			}
		}
		d.admitted(key, "5", "6", "7", "8")
		d.refused(d.next().Admit(t.Context(), key, "9"), "its 10 in flight (10 are)")
		d.refused(d.next().AdmitBatch(t.Context(), key, "b", 3), "its 10 in flight (10 are)") // a retry: two rows are open
		d.Must(bs.Cancel(t.Context(), "b", nil))
		d.admitted(key, "9", "10")
		d.refused(d.next().Admit(t.Context(), key, "11"), "its 10 in flight (10 are)")
	})
}

// A tenant with many places: all that have ended are found, and who is refused does not read them all each time.
func TestInFlightOfMany(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		key := &apikey.Key{Name: "shop", MaxInFlight: 450}
		var items []tasks.Item
		for n := range 450 {
			items = append(items, tasks.Item{Chat: tasks.Ask("bot", "why?"), Options: tasks.Options{ID: fmt.Sprint("t", n)}})
			d.admitted(key, fmt.Sprint("t", n))
		}
		d.Must(d.Tasks.EnqueueAll(t.Context(), items).FirstErr())
		d.Answer("t440")
		d.admitted(key, "a")
		d.refused(d.limits[0].Admit(t.Context(), key, "b"), "its 450 in flight (450 are)")
		d.Answer("t441")
		d.refused(d.limits[0].Admit(t.Context(), key, "b"), "its 450 in flight (450 are)") // it looked a moment ago
		d.Must(d.limits[1].Admit(t.Context(), key, "c"))
	})
}
