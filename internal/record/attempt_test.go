package record_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

// writes are all that an attempt can write.
var writes = map[string]func(context.Context, *record.Attempt) error{
	"asking":  func(ctx context.Context, a *record.Attempt) error { return a.Asking(ctx, "c9") },
	"created": func(ctx context.Context, a *record.Attempt) error { return a.Created(ctx, "c9", "chat9") },
	"wait": func(ctx context.Context, a *record.Attempt) error {
		return a.Wait(ctx, &results.Failure{Class: "rate", Message: "too fast"})
	},
	"give back": func(ctx context.Context, a *record.Attempt) error { return a.Wait(ctx, nil) },
	"delta": func(ctx context.Context, a *record.Attempt) error {
		return a.Delta(ctx, record.Delta{Type: record.DeltaText, Text: "late"})
	},
	"finish": func(ctx context.Context, a *record.Attempt) error {
		a.Result.Status, a.Result.Answer = results.Completed, "late"
		return a.Finish(ctx, true)
	},
}

func TestBegin(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		ctx := t.Context()
		asked := time.Now().Add(-time.Minute)
		_, err := s.Create(ctx, record.Entry{
			Result:  results.Result{ID: "t1", CustomID: "row 1", ConversationID: "c1", ChatID: "chat1"},
			Body:    []byte("[1]"),
			AskedAt: asked,
		})
		if err != nil {
			t.Fatal(err)
		}
		seed := results.Result{ID: "t1", CustomID: "not this"}

		a, err := s.Begin(ctx, seed, true)
		if err != nil {
			t.Fatal(err)
		}
		r := a.Result
		if r.Status != results.Running || r.CustomID != "row 1" || r.ChatID != "chat1" || r.StartedAt.IsZero() {
			t.Errorf("got %+v", r)
		}
		if string(a.Body) != "[1]" || a.Ended || a.CancelRequested || !a.AskedAt.Equal(results.At(asked).Time) {
			t.Errorf("got %+v", a)
		}

		since := time.Now().Add(-time.Second)
		a.Waits, a.WaitingSince = 3, since
		if err := a.Wait(ctx, &results.Failure{Code: 4013, Class: "rate", Message: "too fast", LogID: "log", Hint: "wait"}); err != nil {
			t.Fatal(err)
		}
		waiting := tasktest.Get(t, s.reader, "t1")
		if waiting.Status != results.Waiting || waiting.Error == nil || *waiting.Error != (results.Failure{Code: 4013, Class: "rate", Message: "too fast", LogID: "log", Hint: "wait"}) {
			t.Errorf("waiting: %+v", waiting)
		}

		b, err := s.Begin(ctx, seed, false)
		if err != nil {
			t.Fatal(err)
		}
		if b.Result.Error != nil || tasktest.Get(t, s.reader, "t1").Error != nil {
			t.Errorf("the reason of the wait outlived it: %+v", b.Result.Error)
		}
		if b.Result.StartedAt != r.StartedAt {
			t.Errorf("started at %v, then at %v", r.StartedAt, b.Result.StartedAt)
		}
		if b.Waits != 3 || !b.WaitingSince.Equal(results.At(since).Time) || len(b.Body) > 0 {
			t.Errorf("got %+v", b)
		}
		if owned, err := a.Owned(ctx); owned || err != nil {
			t.Errorf("the first still owns it: %v, %v", owned, err)
		}
		if owned, err := b.Owned(ctx); !owned || err != nil {
			t.Errorf("the second does not own it: %v, %v", owned, err)
		}
	})
}

// Asking, Created and Wait say what the next attempt has to find out.
func TestNotes(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		ctx := t.Context()
		tasktest.Create(t, s.reader, "t1")
		a := tasktest.Begin(t, s.reader, "t1")
		next := func(conversation, chat string, asked bool) *record.Attempt {
			t.Helper()
			b := tasktest.Begin(t, s.reader, "t1")
			if b.Result.ConversationID != conversation || b.Result.ChatID != chat || b.AskedAt.IsZero() == asked {
				t.Errorf("conversation %q, chat %q, asked at %v; want %q, %q, %v",
					b.Result.ConversationID, b.Result.ChatID, b.AskedAt, conversation, chat, asked)
			}
			return b
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(a.Asking(ctx, "c1"))
		a = next("c1", "", true)
		must(a.Created(ctx, "c2", "chat"))
		a = next("c2", "chat", false)
		must(a.Asking(ctx, "c3")) // the chat is given up
		a = next("c3", "", true)
		must(a.Wait(ctx, nil)) // what is not known stays unknown
		a = next("c3", "", true)
		a.Result.ConversationID, a.AskedAt = "", time.Time{}
		a.Result.Attempts, a.Result.PossibleDuplicate, a.Result.Warnings = 2, true, []string{"careful"}
		must(a.Wait(ctx, nil))
		a = next("", "", false)
		if r := a.Result; r.Attempts != 2 || !r.PossibleDuplicate || len(r.Warnings) != 1 {
			t.Errorf("got %+v", r)
		}
	})
}

func TestOlderAttemptIsRefused(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for name, write := range writes {
			for _, ended := range []bool{false, true} {
				s := newStore(t, rdb)
				id := name
				if ended {
					id += " of an ended task"
				}
				tasktest.Create(t, s.reader, id)
				old := tasktest.Begin(t, s.reader, id)
				newer := tasktest.Begin(t, s.reader, id)
				if ended {
					tasktest.Finish(t, newer, "the newer's")
				}
				refused(t, rdb, id, func(ctx context.Context) error { return write(ctx, old) })
				if !ended {
					tasktest.Finish(t, newer, "the newer's")
				}
				if r := tasktest.Get(t, s.reader, id); r.Answer != "the newer's" {
					t.Errorf("%s: got %+v", id, r)
				}
			}
		}
	})
}

// refused checks that a write is fenced and changes and publishes nothing.
func refused(t *testing.T, rdb redis.UniversalClient, id string, write func(context.Context) error) {
	t.Helper()
	c := hear(t, rdb, id)
	before, left := tasktest.Hash(t, rdb, id), rdb.TTL(t.Context(), results.Key(id)).Val()
	if err := write(t.Context()); !errors.Is(err, record.ErrFenced) {
		t.Errorf("%s: %v, want ErrFenced", id, err)
	}
	if after := tasktest.Hash(t, rdb, id); !maps.Equal(before, after) {
		t.Errorf("%s: the record changed:\n%q\n%q", id, before, after)
	}
	if now := rdb.TTL(t.Context(), results.Key(id)).Val(); now > left {
		t.Errorf("%s: it is kept for %v now, not for %v", id, now, left)
	}
	if n := rdb.Exists(t.Context(), results.DeltasKey(id)).Val(); n != 0 {
		t.Errorf("%s: there are deltas", id)
	}
	if m := c.messages(); len(m) != 0 {
		t.Errorf("%s: published %q", id, m)
	}
}

// The owner may not write either once its task has ended: what it wrote before can
// be stuck in a broken connection and arrive after the end.
func TestTerminalIsFinal(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		ctx := t.Context()
		for _, status := range []results.Status{results.Completed, results.Failed, results.Canceled, results.Expired} {
			id := string(status)
			tasktest.Create(t, s.reader, id)
			a := tasktest.Begin(t, s.reader, id)
			a.Result.Status = status
			if err := a.Finish(ctx, false); err != nil {
				t.Fatal(err)
			}
			for name, write := range writes {
				if name != "finish" {
					refused(t, rdb, id, func(ctx context.Context) error { return write(ctx, a) })
				}
			}
			before := tasktest.Hash(t, rdb, id)
			c := hear(t, rdb, id)
			b := tasktest.Begin(t, s.reader, id)
			if !b.Ended || b.Result.Status != status {
				t.Errorf("Begin after the end: %+v", b)
			}
			if got, err := s.Create(ctx, record.Entry{Result: results.Result{ID: id}}); got != status || err != nil {
				t.Errorf("Create after the end: %q, %v", got, err)
			}
			if r, err := s.Cancel(ctx, id); err != nil || r.Status != status {
				t.Errorf("Cancel after the end: %+v, %v", r, err)
			}
			if after := tasktest.Hash(t, rdb, id); !maps.Equal(before, after) {
				t.Errorf("the record changed:\n%q\n%q", before, after)
			}
			if m := c.messages(); len(m) != 0 {
				t.Errorf("published %q", m)
			}
		}
	})
}

func TestFinish(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		ctx := t.Context()
		tasktest.Create(t, s.reader, "t1")
		c := hear(t, rdb, "t1")
		a := tasktest.Begin(t, s.reader, "t1")
		for _, status := range []results.Status{"", results.Queued, results.Running, results.Waiting} {
			a.Result.Status = status
			if err := a.Finish(ctx, false); err == nil {
				t.Errorf("%q was taken for an end", status)
			}
		}
		if err := a.Created(ctx, "c1", "chat1"); err != nil {
			t.Fatal(err)
		}
		// The end may forget what was noted, as a worker does with a chat that it
		// has canceled.
		a.Result.ChatID, a.Result.ConversationID = "", ""
		a.Result.Status, a.Result.Usage = results.Canceled, &results.Usage{TokenCount: 3}
		a.Result.Error = &results.Failure{Class: "canceled", Message: "canceled on request"}
		if err := a.Finish(ctx, false); err != nil {
			t.Fatal(err)
		}
		message := c.messages()
		if len(message) != 1 {
			t.Fatalf("published %q, want one message", message)
		}
		var told results.Result
		if err := json.Unmarshal([]byte(message[0]), &told); err != nil {
			t.Fatal(err)
		}
		kept := tasktest.Get(t, s.reader, "t1")
		kept.Queue, kept.Lane = "", "" // they stand in the hash only
		if !reflect.DeepEqual(told, *kept) {
			t.Errorf("the message and the hash differ:\n%+v\n%+v", told, *kept)
		}
		if told.CompletedAt.IsZero() || told.ChatID != "" || told.ConversationID != "" {
			t.Errorf("got %+v", told)
		}
	})
}

// Finish again by the same owner is what go-redis does when a reply was lost.
func TestFinishTwice(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		tasktest.Create(t, s.reader, "t1")
		c := hear(t, rdb, "t1")
		a := tasktest.Begin(t, s.reader, "t1")
		tasktest.Finish(t, a, "once")
		before := tasktest.Hash(t, rdb, "t1")
		tasktest.Finish(t, a, "twice")
		if after := tasktest.Hash(t, rdb, "t1"); !maps.Equal(before, after) {
			t.Errorf("the record changed:\n%q\n%q", before, after)
		}
		if m := c.messages(); len(m) != 1 {
			t.Errorf("published %d messages", len(m))
		}
	})
}

// TestBeginForgetsFailure: an attempt that begins has no failure, not even one without words.
func TestBeginForgetsFailure(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		tasktest.Create(t, s.reader, "t1")
		for _, f := range []results.Failure{{Class: "rate"}, {Code: 5000, Class: "transient", Message: "Internal error", Hint: "wait"}} {
			if err := tasktest.Begin(t, s.reader, "t1").Wait(t.Context(), &f); err != nil {
				t.Fatal(err)
			}
			tasktest.Begin(t, s.reader, "t1")
			if r := tasktest.Get(t, s.reader, "t1"); r.Status != results.Running || r.Error != nil {
				t.Errorf("%s, %+v; want running, without a failure", r.Status, r.Error)
			}
		}
	})
}

// The record may go while an attempt works: what was paid for is kept all the same.
func TestRecordGone(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		gone := func(t *testing.T, id string) (store, *record.Attempt) {
			s := newStore(t, rdb)
			_, err := s.Create(ctx, record.Entry{Result: results.Result{ID: id, CustomID: "row 1"}, Keep: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			a := tasktest.Begin(t, s.reader, id)
			if err := rdb.Del(ctx, results.Key(id)).Err(); err != nil {
				t.Fatal(err)
			}
			return s, a
		}
		t.Run("finish", func(t *testing.T) {
			s, a := gone(t, "t1")
			c := hear(t, rdb, "t1")
			tasktest.Finish(t, a, "paid for")
			if r := tasktest.Get(t, s.reader, "t1"); r.Answer != "paid for" || r.CustomID != "row 1" || r.CreatedAt.IsZero() {
				t.Errorf("got %+v", r)
			}
			ttl(t, rdb, results.Key("t1"), time.Hour)
			if m := c.messages(); len(m) != 1 {
				t.Errorf("published %q", m)
			}
		})
		t.Run("note, then finish", func(t *testing.T) {
			s, a := gone(t, "t2")
			if owned, err := a.Owned(ctx); !owned || err != nil {
				t.Errorf("Owned: %v, %v", owned, err)
			}
			if err := a.Created(ctx, "c1", "chat1"); err != nil {
				t.Fatal(err)
			}
			tasktest.Finish(t, a, "paid for")
			if r := tasktest.Get(t, s.reader, "t2"); r.Answer != "paid for" || r.ChatID != "chat1" || r.CustomID != "row 1" {
				t.Errorf("got %+v", r)
			}
		})
		t.Run("over", func(t *testing.T) {
			s, a := gone(t, "t0")
			c := hear(t, rdb, "t0")
			a.Over = func(context.Context) (bool, error) { return true, nil }
			a.Result.Status = results.Completed
			for what, err := range map[string]error{
				"Asking": a.Asking(ctx, "c1"), "Created": a.Created(ctx, "c1", "chat1"),
				"Wait": a.Wait(ctx, nil), "Finish": a.Finish(ctx, true),
			} {
				if !errors.Is(err, record.ErrFenced) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if owned, err := a.Owned(ctx); owned || err != nil {
				t.Errorf("Owned: %v, %v", owned, err)
			}
			if r, err := s.Get(ctx, "t0"); !errors.Is(err, results.ErrNotFound) {
				t.Errorf("got %+v, %v", r, err)
			}
			if m := c.messages(); len(m) != 0 {
				t.Errorf("published %q", m)
			}
		})
		t.Run("it is not known whether it is over", func(t *testing.T) {
			_, a := gone(t, "t9")
			a.Over = func(context.Context) (bool, error) { return false, errors.New("no answer") }
			a.Result.Status = results.Completed
			if err := a.Finish(ctx, true); err == nil || errors.Is(err, record.ErrFenced) {
				t.Errorf("Finish: %v", err)
			}
			if owned, err := a.Owned(ctx); owned || err == nil {
				t.Errorf("Owned: %v, %v", owned, err)
			}
		})
		t.Run("note, then another begins", func(t *testing.T) {
			s, a := gone(t, "t3")
			if err := a.Created(ctx, "c1", "chat1"); err != nil {
				t.Fatal(err)
			}
			b, err := s.Begin(ctx, results.Result{ID: "t3", CustomID: "from the payload"}, false)
			if err != nil {
				t.Fatal(err)
			}
			if r := b.Result; r.ChatID != "chat1" || r.CustomID != "from the payload" || r.CreatedAt.IsZero() {
				t.Errorf("got %+v", r)
			}
			refused(t, rdb, "t3", func(ctx context.Context) error { return a.Asking(ctx, "c2") })
		})
		// Who had the answer has deleted the record, and only then does an attempt that is
		// over put its task aside.
		t.Run("parked, then another begins", func(t *testing.T) {
			s, a := gone(t, "t4")
			if err := a.Wait(ctx, nil); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				b, err := s.Begin(ctx, results.Result{ID: "t4"}, false)
				if err != nil || b.Ended || !b.Made {
					t.Fatalf("%+v, %v", b, err)
				}
				if err := b.Wait(ctx, nil); err != nil {
					t.Fatal(err)
				}
			}
			tasktest.Finish(t, tasktest.Begin(t, s.reader, "t4"), "yes")
			if there, err := rdb.HExists(ctx, results.Key("t4"), "made").Result(); there || err != nil {
				t.Errorf("a record that has ended says that it was made: %v, %v", there, err)
			}
		})
	})
}

// FencedFor counts from the first owner after the one that noted the question, until it is
// noted again or nothing is noted.
func TestFencedFor(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), openStore(rdb)
		defer s.Close()
		seed := results.Result{ID: "t1"}
		begin := func(least, most time.Duration) *record.Attempt {
			t.Helper()
			a, err := s.Begin(ctx, seed, false)
			if err != nil {
				t.Fatal(err)
			}
			if a.FencedFor < least || a.FencedFor > most {
				t.Errorf("fenced for %v, want %v to %v", a.FencedFor, least, most)
			}
			return a
		}
		ask := func(a *record.Attempt) {
			t.Helper()
			if err := a.Asking(ctx, "c1"); err != nil {
				t.Fatal(err)
			}
		}
		earlier := func() { // by an hour
			t.Helper()
			if err := rdb.HIncrBy(ctx, results.Key("t1"), "fenced_at", -time.Hour.Milliseconds()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		ask(begin(0, 0))
		begin(0, 0)
		earlier()
		a := begin(time.Hour, 2*time.Hour)
		ask(a)
		begin(0, 0)
		earlier()
		a = begin(time.Hour, 2*time.Hour)
		a.AskedAt = time.Time{}
		if err := a.Wait(ctx, nil); err != nil {
			t.Fatal(err)
		}
		ask(begin(0, 0))
		begin(0, 0)
	})
}
