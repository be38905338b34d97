package record_test

import (
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

func TestCreateIsIdempotent(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		ctx := t.Context()
		first := record.Entry{Result: results.Result{ID: "t1", BotID: "first"}, Body: []byte("[1]")}
		if status, err := s.Create(ctx, first); status != "" || err != nil {
			t.Fatalf("a new record: %q, %v", status, err)
		}
		again := func(want results.Status) {
			t.Helper()
			before := tasktest.Hash(t, rdb, "t1")
			second := record.Entry{Result: results.Result{ID: "t1", BotID: "second"}, Body: []byte("[2]"), Keep: time.Hour}
			status, err := s.Create(ctx, second)
			if status != want || err != nil {
				t.Errorf("Create again: %q, %v; want %q", status, err, want)
			}
			if after := tasktest.Hash(t, rdb, "t1"); !maps.Equal(before, after) {
				t.Errorf("it changed the record:\n%q\n%q", before, after)
			}
			if body := rdb.Get(ctx, results.BodyKey("t1")).Val(); body == "[2]" {
				t.Error("it changed the body")
			}
		}
		again(results.Queued)
		a := tasktest.Begin(t, s.reader, "t1")
		again(results.Running)
		if err := a.Wait(ctx, nil); err != nil {
			t.Fatal(err)
		}
		again(results.Waiting)
		tasktest.Answer(t, s.reader, "t1", "yes")
		again(results.Completed)
	})
}

func TestUnknown(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		if _, err := s.Get(t.Context(), "nobody"); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("Get: %v", err)
		}
		if _, err := s.Cancel(t.Context(), "nobody"); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("Cancel: %v", err)
		}
		if n := len(redistest.Keys(t, rdb, "*")); n != 0 {
			t.Errorf("looking left %d keys", n)
		}
	})
}

func TestDelete(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		ctx := t.Context()
		if _, err := s.Create(ctx, record.Entry{Result: results.Result{ID: "t1"}, Body: []byte("[]")}); err != nil {
			t.Fatal(err)
		}
		if err := tasktest.Begin(t, s.reader, "t1").Delta(ctx, record.Delta{Type: record.DeltaText, Text: "a"}); err != nil {
			t.Fatal(err)
		}
		tasktest.Create(t, s.reader, "t2", "t3")
		if err := s.Delete(ctx, "t1", "t2"); err != nil {
			t.Fatal(err)
		}
		if keys := redistest.Keys(t, rdb, "*"); len(keys) != 1 || keys[0] != results.Key("t3") {
			t.Errorf("left: %q", keys)
		}
	})
}

// ttl checks how long a key is kept: for want, or a little less as time passes. A
// minute is enough for the slowest machine and far from all other terms.
func ttl(t *testing.T, rdb redis.UniversalClient, key string, want time.Duration) {
	t.Helper()
	got, err := rdb.TTL(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	if got > want || got < want-time.Minute {
		t.Errorf("%s is kept for %v, want %v", key, got, want)
	}
}

func TestTTL(t *testing.T) {
	const open = 30 * 24 * time.Hour
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		type ending struct {
			name string
			end  func(t *testing.T, s store, id string)
		}
		endings := []ending{
			{"finish", func(t *testing.T, s store, id string) {
				a := tasktest.Begin(t, s.reader, id)
				ttl(t, rdb, results.Key(id), open)
				ttl(t, rdb, results.BodyKey(id), open)
				if err := a.Delta(ctx, record.Delta{Type: record.DeltaText, Text: "a"}); err != nil {
					t.Fatal(err)
				}
				ttl(t, rdb, results.DeltasKey(id), open)
				a.Result.Status = results.Completed
				if err := a.Finish(ctx, true); err != nil {
					t.Fatal(err)
				}
			}},
			{"cancel", func(t *testing.T, s store, id string) {
				// An earlier attempt left deltas.
				a := tasktest.Begin(t, s.reader, id)
				if err := a.Delta(ctx, record.Delta{Type: record.DeltaText, Text: "a"}); err != nil {
					t.Fatal(err)
				}
				if err := a.Wait(ctx, nil); err != nil {
					t.Fatal(err)
				}
				ttl(t, rdb, results.Key(id), open)
				if r, err := s.Cancel(ctx, id); err != nil || r.Status != results.Canceled {
					t.Fatalf("%+v, %v", r, err)
				}
			}},
		}
		terms := []struct {
			name        string
			store, task time.Duration
			want        time.Duration
		}{
			{"default", results.DefaultKeep, 0, 24 * time.Hour},
			{"of the store", 3 * time.Hour, 0, 3 * time.Hour},
			{"of the task", 3 * time.Hour, 48 * time.Hour, 48 * time.Hour},
			{"shorter than a second", 100 * time.Millisecond, 0, time.Second},
		}
		for _, e := range endings {
			for _, term := range terms {
				t.Run(e.name+" "+term.name, func(t *testing.T) {
					s := newStore(t, rdb)
					s.Keep = term.store
					id := t.Name()
					entry := record.Entry{Result: results.Result{ID: id}, Body: []byte("[]"), Keep: term.task}
					if _, err := s.Create(ctx, entry); err != nil {
						t.Fatal(err)
					}
					ttl(t, rdb, results.Key(id), open)
					ttl(t, rdb, results.BodyKey(id), open)
					e.end(t, s, id)
					if term.want == time.Second {
						// It may be gone by now; what counts is that it does not stay.
						if left := rdb.TTL(ctx, results.Key(id)).Val(); left > time.Second || left == -1 {
							t.Errorf("kept for %v", left)
						}
						return
					}
					ttl(t, rdb, results.Key(id), term.want)
					ttl(t, rdb, results.DeltasKey(id), term.want)
					if n := rdb.Exists(ctx, results.BodyKey(id)).Val(); n != 0 {
						t.Error("the body is still there")
					}
				})
			}
		}
	})
}

func TestForgottenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, redistest.Embedded(t))
		s.Keep = time.Hour
		tasktest.Create(t, s.reader, "open", "ended")
		tasktest.Answer(t, s.reader, "ended", "yes")
		time.Sleep(time.Hour - time.Minute)
		tasktest.Get(t, s.reader, "ended")
		time.Sleep(2 * time.Minute)
		if _, err := s.Get(t.Context(), "ended"); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("after its time: %v", err)
		}
		tasktest.Get(t, s.reader, "open")
		if status, err := s.Create(t.Context(), record.Entry{Result: results.Result{ID: "ended"}}); status != "" || err != nil {
			t.Errorf("its id is not free: %q, %v", status, err)
		}
	})
}
