package tasks_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// end ends a task as a worker does. It works in goroutines, too.
func end(t testing.TB, store *results.Store, id string, deltas []record.Delta, r results.Result) {
	t.Helper()
	a, err := record.New(store).Begin(t.Context(), results.Result{ID: id}, false)
	if err != nil {
		t.Error(err)
		return
	}
	for _, d := range deltas {
		if err := a.Delta(t.Context(), d); err != nil {
			t.Error(err)
		}
	}
	a.Result.Status, a.Result.Answer, a.Result.Error = r.Status, r.Answer, r.Error
	if err := a.Finish(t.Context(), len(deltas) > 0); err != nil {
		t.Error(err)
	}
}

func newClient(t testing.TB, rdb redis.UniversalClient) *tasks.Client {
	t.Helper()
	store := results.NewStore(rdb)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return tasks.NewClient(store)
}

func TestAsk(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		client := newClient(t, rdb)
		ask := func(id string) (*results.Result, error) {
			return client.Ask(t.Context(), tasks.Ask("bot", "why?"), tasks.Options{ID: id})
		}
		for id, r := range map[string]results.Result{
			"answered": {Status: results.Completed, Answer: "because"},
			"failed":   {Status: results.Failed, Answer: "beca", Error: &results.Failure{Class: "quota", Code: 4028, Message: "used up"}},
			"expired":  {Status: results.Expired, Error: &results.Failure{Class: "expired"}},
		} {
			if _, err := client.Enqueue(t.Context(), tasks.Ask("bot", "why?"), tasks.Options{ID: id}); err != nil {
				t.Fatal(err)
			}
			end(t, client.Results(), id, nil, r)
		}

		if r, err := ask("answered"); err != nil || r.Answer != "because" {
			t.Errorf("an id that is there already: %+v, %v", r, err)
		}
		r, err := ask("failed")
		if f, ok := errors.AsType[*results.Failure](err); !ok || f.Code != 4028 || !errors.Is(err, results.ErrQuota) {
			t.Errorf("a failed task: %v", err)
		}
		if r == nil || r.Answer != "beca" {
			t.Errorf("the result of a failed task: %+v", r)
		}
		if _, err := ask("expired"); !errors.Is(err, results.ErrExpired) || errors.Is(err, results.ErrQuota) {
			t.Errorf("an expired task: %v", err)
		}
		if status, err := client.Cancel(t.Context(), "expired"); status != results.Expired || err != nil {
			t.Errorf("cancel: %v, %v", status, err)
		}
		if _, err := client.Wait(t.Context(), "nobody"); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("an unknown task: %v", err)
		}
		_, err = client.Ask(t.Context(), &tasks.Chat{BotID: "bot"}, tasks.Options{})
		if _, ok := errors.AsType[*tasks.InvalidError](err); !ok {
			t.Errorf("an invalid chat: %v", err)
		}
	})
}

// The task of a caller that stops waiting stays in the queue, and its id is known.
func TestAskGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, redistest.Embedded(t))
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("no more patience")
		asked := make(chan error)
		go func() {
			_, err := client.Ask(ctx, tasks.Ask("bot", "why?"), tasks.Options{})
			asked <- err
		}()
		synctest.Wait() // it waits for an answer
		cancel(why)
		err := <-asked
		unfinished, ok := errors.AsType[*tasks.UnfinishedError](err)
		if !ok || !errors.Is(err, why) {
			t.Fatalf("got %v", err)
		}
		if r, err := client.Results().Get(t.Context(), unfinished.ID); err != nil || r.Status != results.Queued {
			t.Errorf("the task: %+v, %v", r, err)
		}
		end(t, client.Results(), unfinished.ID, nil, results.Result{Status: results.Completed, Answer: "because"})
		if r, err := client.Wait(t.Context(), unfinished.ID); err != nil || r.Answer != "because" {
			t.Errorf("waiting again: %+v, %v", r, err)
		}
	})
}

func TestStream(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		client := newClient(t, rdb)
		enqueue := func(id string) {
			t.Helper()
			chat := tasks.Ask("bot", "why?")
			chat.Stream = true
			if _, err := client.Enqueue(t.Context(), chat, tasks.Options{ID: id}); err != nil {
				t.Fatal(err)
			}
		}
		// stream returns what it says, "|" for a new beginning, reasoning in brackets, and the last piece.
		stream := func(id string) (said []string, last *results.Result, err error) {
			for piece, e := range client.Stream(t.Context(), id) {
				if err = e; piece.Restart {
					said = append(said, "|")
				}
				if piece.Text != "" {
					said = append(said, piece.Text)
				}
				if piece.Reasoning != "" {
					said = append(said, "("+piece.Reasoning+")")
				}
				last = piece.Result
			}
			return said, last, err
		}
		deltas := []record.Delta{
			{Type: record.DeltaText, Text: "An"}, {Type: record.DeltaReset},
			{Type: record.DeltaReasoning, Text: "Hm"}, {Type: record.DeltaText, Text: "The "}, {Type: record.DeltaText, Text: "answer"},
		}
		want := []string{"An", "|", "(Hm)", "The ", "answer"}

		enqueue("answered")
		type outcome struct {
			said []string
			last *results.Result
			err  error
		}
		early := make(chan outcome)
		go func() {
			said, last, err := stream("answered")
			early <- outcome{said, last, err}
		}()
		end(t, client.Results(), "answered", deltas, results.Result{Status: results.Completed, Answer: "The answer"})
		late := outcome{}
		late.said, late.last, late.err = stream("answered")
		for name, o := range map[string]outcome{"early": <-early, "late": late} {
			if !slices.Equal(o.said, want) || o.err != nil || o.last == nil || o.last.Answer != "The answer" {
				t.Errorf("%s: %q, %+v, %v", name, o.said, o.last, o.err)
			}
		}

		enqueue("failed")
		end(t, client.Results(), "failed", deltas[:1], results.Result{Status: results.Failed, Error: &results.Failure{Class: "timeout"}})
		if said, last, err := stream("failed"); !slices.Equal(said, []string{"An"}) || last == nil || !errors.Is(err, results.ErrTimeout) {
			t.Errorf("a failed task: %q, %+v, %v", said, last, err)
		}
	})
}

func TestStreamGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, redistest.Embedded(t))
		if _, err := client.Enqueue(t.Context(), tasks.Ask("bot", "why?"), tasks.Options{ID: "t1"}); err != nil {
			t.Fatal(err)
		}
		a, err := record.New(client.Results()).Begin(t.Context(), results.Result{ID: "t1"}, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Delta(t.Context(), record.Delta{Type: record.DeltaText, Text: "An"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		for piece, err := range client.Stream(ctx, "t1") {
			if piece.Text == "An" {
				cancel()
			}
			last = err
		}
		if u, ok := errors.AsType[*tasks.UnfinishedError](last); !ok || u.ID != "t1" || !errors.Is(last, context.Canceled) {
			t.Errorf("it ended with %v", last)
		}
	})
}
