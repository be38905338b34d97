package record_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

func delta(t testing.TB, a *record.Attempt, kind record.DeltaType, text string) {
	t.Helper()
	if err := a.Delta(t.Context(), record.Delta{Type: kind, Text: text}); err != nil {
		t.Fatal(err)
	}
}

// deltas are a task's deltas without their ids, which grow.
func deltas(t testing.TB, s store, id string) (all []record.Delta) {
	t.Helper()
	var last record.EntryID
	for {
		l, err := s.Look(t.Context(), id, last)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range l.Deltas {
			if d.ID.Compare(last) <= 0 {
				t.Errorf("%v behind %v", d.ID, last)
			}
			last, d.ID = d.ID, record.EntryID{}
			all = append(all, d)
		}
		if !l.More {
			return all
		}
	}
}

func TestDeltas(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		tasktest.Create(t, s.reader, "t1")
		a := tasktest.Begin(t, s.reader, "t1")
		delta(t, a, record.DeltaText, "An")
		b := tasktest.Begin(t, s.reader, "t1") // another worker goes on
		delta(t, b, record.DeltaReset, "")
		delta(t, b, record.DeltaText, "The ")
		delta(t, b, record.DeltaText, "answer")
		b.Result.Status, b.Result.Answer = results.Completed, "The answer"
		for range 2 { // its reply was lost
			if err := b.Finish(t.Context(), true); err != nil {
				t.Fatal(err)
			}
		}
		want := []record.Delta{
			{Type: record.DeltaText, Text: "An"},
			{Type: record.DeltaReset},
			{Type: record.DeltaText, Text: "The "},
			{Type: record.DeltaText, Text: "answer"},
			{Type: record.DeltaEnd},
		}
		if got := deltas(t, s, "t1"); !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
		if n := rdb.XLen(t.Context(), results.DeltasKey("t1")).Val(); n != int64(len(want)) {
			t.Errorf("%d entries, want %d", n, len(want))
		}
	})
}

// A task whose stream was begun and that is canceled while it waits ends it.
func TestDeltasCanceled(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		tasktest.Create(t, s.reader, "t1")
		a := tasktest.Begin(t, s.reader, "t1")
		delta(t, a, record.DeltaText, "An")
		if err := a.Wait(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Cancel(t.Context(), "t1"); err != nil {
			t.Fatal(err)
		}
		want := []record.Delta{{Type: record.DeltaText, Text: "An"}, {Type: record.DeltaEnd}}
		if got := deltas(t, s, "t1"); !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
	})
}

func TestLookAtNobody(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		if _, err := s.Look(t.Context(), "nobody", record.EntryID{}); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

// A stream is bounded; what is lost is its beginning.
func TestDeltasBounded(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const written, bound, slack = 4096 + 600, 4096, 200 // Redis trims whole nodes of 100
		s := newStore(t, rdb)
		tasktest.Create(t, s.reader, "t1")
		a := tasktest.Begin(t, s.reader, "t1")
		for i := range written {
			delta(t, a, record.DeltaText, fmt.Sprint(i, " "))
		}
		if n := rdb.XLen(t.Context(), results.DeltasKey("t1")).Val(); n > bound+slack || n < bound {
			t.Errorf("%d entries, want %d or a few more", n, bound)
		}
		a.Result.Status = results.Completed
		if err := a.Finish(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		got := deltas(t, s, "t1")
		want := []record.Delta{
			{Type: record.DeltaText, Text: fmt.Sprint(written-2, " ")}, {Type: record.DeltaText, Text: fmt.Sprint(written-1, " ")},
			{Type: record.DeltaEnd},
		}
		if last := got[len(got)-3:]; !slices.Equal(last, want) {
			t.Errorf("it ends with %v, want %v", last, want)
		}
		if l, err := s.Look(t.Context(), "t1", record.EntryID{}); err != nil || !l.Cut || l.Lost {
			t.Errorf("from the start: %+v, %v", l, err)
		}
	})
}

func FuzzEntryID(f *testing.F) {
	for _, seed := range []string{"", "0-0", "1700000000000-0", "01-0", "1-", "-1", "18446744073709551616-0", "1-18446744073709551615"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := record.ParseEntryID(text); err == nil && id.String() != text {
			t.Errorf("%q is %v", text, id)
		}
	})
}
