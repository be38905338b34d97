package record_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

func delta(t testing.TB, a *record.Attempt, kind record.DeltaType, text string) {
	t.Helper()
	if err := a.Delta(t.Context(), record.Delta{Type: kind, Text: text}); err != nil {
		t.Fatal(err)
	}
}

// readDeltas reads a stream to its end.
func readDeltas(t testing.TB, s store, id string) []record.Delta {
	t.Helper()
	var got []record.Delta
	for d, err := range s.Deltas(t.Context(), id) {
		if err != nil {
			t.Error(err) // not Fatal: it runs in goroutines, too, for which the test waits
			break
		}
		got = append(got, d)
	}
	return got
}

func TestDeltas(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		create(t, s, "t1")
		early := make(chan []record.Delta)
		go func() { early <- readDeltas(t, s, "t1") }()

		a := begin(t, s, "t1")
		delta(t, a, record.DeltaText, "An")
		b := begin(t, s, "t1") // another worker goes on
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
		if got := <-early; !slices.Equal(got, want) {
			t.Errorf("who read along got %v", got)
		}
		if got := readDeltas(t, s, "t1"); !slices.Equal(got, want) {
			t.Errorf("who came late got %v", got)
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
		create(t, s, "t1")
		a := begin(t, s, "t1")
		delta(t, a, record.DeltaText, "An")
		if err := a.Wait(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Cancel(t.Context(), "t1"); err != nil {
			t.Fatal(err)
		}
		want := []record.Delta{{Type: record.DeltaText, Text: "An"}, {Type: record.DeltaEnd}}
		if got := readDeltas(t, s, "t1"); !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
	})
}

// A task may end without a stream: canceled before it was asked, say.
func TestDeltasWithoutStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, redistest.Embedded(t))
		create(t, s, "t1")
		got := make(chan []record.Delta)
		go func() { got <- readDeltas(t, s, "t1") }()
		synctest.Wait() // it reads, and there is nothing
		if _, err := s.Cancel(t.Context(), "t1"); err != nil {
			t.Fatal(err)
		}
		if d := <-got; !slices.Equal(d, []record.Delta{{Type: record.DeltaEnd}}) {
			t.Errorf("got %v", d)
		}
		if d := readDeltas(t, s, "t1"); !slices.Equal(d, []record.Delta{{Type: record.DeltaEnd}}) {
			t.Errorf("who came late got %v", d)
		}
	})
}

func TestDeltasUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, redistest.Embedded(t))
		n := 0
		for _, err := range s.Deltas(t.Context(), "nobody") {
			if n++; !errors.Is(err, results.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}
		if n != 1 {
			t.Errorf("%d steps, want one error", n)
		}
	})
}

func TestDeltasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, redistest.Embedded(t))
		create(t, s, "t1")
		a := begin(t, s, "t1")
		delta(t, a, record.DeltaText, "An")
		delta(t, a, record.DeltaText, "swer")
		for d := range s.Deltas(t.Context(), "t1") {
			if d.Text != "An" {
				t.Errorf("got %v", d)
			}
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		n := 0
		for _, err := range s.Deltas(ctx, "t1") {
			if n++; n == 2 {
				cancel()
			}
			last = err
		}
		if n != 3 || !errors.Is(last, context.Canceled) {
			t.Errorf("%d steps, then %v", n, last)
		}
	})
}

// A stream is bounded; what is lost is its beginning.
func TestDeltasBounded(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const written, bound, slack = 4096 + 600, 4096, 200 // Redis trims whole nodes of 100
		s := newStore(t, rdb)
		create(t, s, "t1")
		a := begin(t, s, "t1")
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
		var text strings.Builder
		got := readDeltas(t, s, "t1")
		for _, d := range got[len(got)-3:] {
			text.WriteString(d.Text)
		}
		if want := fmt.Sprint(written-2, " ", written-1, " "); text.String() != want || got[len(got)-1].Type != record.DeltaEnd {
			t.Errorf("it ends with %q, want %q", text.String(), want)
		}
	})
}
