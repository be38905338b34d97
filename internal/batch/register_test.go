package batch_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cozeq/cozeq/internal/batch"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// registered is a job that stands in Redis as a batch.
func registered(l *line, in *batch.Input, output string) *batch.Job {
	job := l.newJob(in, output)
	job.Forget, job.Batches = false, tasks.NewBatches(l.rdb, l.client)
	return job
}

// only returns the one batch that is there.
func only(t *testing.T, bs *tasks.Batches) *tasks.Batch {
	t.Helper()
	all, err := bs.List(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("batches %v, %v", all, err)
	}
	return all[0]
}

// A run on a shared Redis is a batch there; its results leave Redis when they are in the journal.
func TestRunIsABatch(t *testing.T) {
	content, _ := quiz(12)
	b := newBook()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	l, stop := newLine(t, redistest.Embedded(t), b)
	badly(l, nil)
	job := registered(l, open(t, "q.jsonl", content, batch.InputOptions{BotID: "bot"}), path)
	s, err := job.Run(t.Context())
	if err != nil || s.Answered != 9 || s.Failed != 3 {
		t.Fatalf("%+v, %v", s, err)
	}
	stop()
	got := only(t, job.Batches)
	if got.Kind != tasks.BatchRun || got.Name != "q.jsonl" || got.Output != path || got.Host == "" || got.BotID != "bot" || got.SubmittedAt.IsZero() || got.EndedAt.IsZero() || got.Enqueued != 12 {
		t.Errorf("%+v", got)
	}
	if got.Counts != (tasks.BatchCounts{Total: 12, Completed: 9, Failed: 3}) || got.Tokens.TokenCount != 60 || len(got.Failures) != 1 {
		t.Errorf("%+v", got)
	}
	for _, r := range output(t, path) {
		if r.BatchID != got.ID || !strings.HasPrefix(r.ID, got.ID+"-") {
			t.Errorf("%+v", r)
		}
	}
	if left := redistest.Keys(t, l.rdb, "cozeq:result:*"); len(left) > 0 {
		t.Errorf("left in Redis: %q", left)
	}
	if left := redistest.Keys(t, l.rdb, "asynq:*:t:*"); len(left) > 0 {
		t.Errorf("left in the queue: %q", left)
	}
}

// Somebody cancels the batch: the run writes what it has, and asks the rest when it is told to.
func TestRunIsCanceled(t *testing.T) {
	content, questions := quiz(20)
	b := newBook()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	l, stop := newLine(t, redistest.Embedded(t), b)
	in := open(t, "q.jsonl", content, batch.InputOptions{})
	job := registered(l, in, path)
	job.Window = 2
	canceled := make(chan struct{})
	cancel := sync.OnceFunc(func() {
		if err := job.Batches.Cancel(t.Context(), only(t, job.Batches).ID, nil); err != nil {
			t.Error(err)
		}
		close(canceled)
	})
	l.after = func(string) {
		cancel()
		<-canceled
	}
	s, err := job.Run(t.Context())
	if err != nil || s.Rows != 20 || s.Answered+s.Canceled != 20 || s.Canceled < 17 {
		t.Fatalf("%+v, %v", s, err)
	}
	alone(t, path)
	for i, r := range output(t, path) {
		if r.Status == results.Canceled && (r.Error == nil || r.Error.Class != "canceled" || b.asked[questions[i]] > 0) {
			t.Errorf("%+v, asked %d times", r, b.asked[questions[i]])
		}
	}
	before := only(t, job.Batches)
	if before.CanceledAt.IsZero() || before.Counts.Open() != 0 {
		t.Errorf("%+v", before)
	}
	stop()

	l, _ = newLine(t, l.rdb, b)
	job = registered(l, in, path)
	job.RetryFailed = true
	s, err = job.Run(t.Context())
	if err != nil || s.Answered != 20 {
		t.Fatalf("again: %+v, %v", s, err)
	}
	complete(t, path, questions)
	askedOnce(t, b, questions)
	after := only(t, job.Batches)
	if after.ID != before.ID || !after.CanceledAt.IsZero() || after.EndedAt.IsZero() || after.Counts.Completed != 20 || after.Tokens.TokenCount != 100 {
		t.Errorf("%+v", after)
	}
}

// A run that waits for its window hears of the cancel, too.
func TestRunHearsOfTheCancel(t *testing.T) {
	content, _ := quiz(4)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	rdb := redistest.Embedded(t)
	l, stop := newLine(t, rdb, newBook())
	stop() // nobody answers
	job := registered(l, open(t, "q.jsonl", content, batch.InputOptions{}), path)
	job.Window = 1
	go func() {
		eventually(t, "a row is enqueued", func() bool { return rdb.LLen(context.Background(), "asynq:{default}:pending").Val() > 0 })
		if err := job.Batches.Cancel(context.Background(), only(t, job.Batches).ID, nil); err != nil {
			t.Error(err)
		}
	}()
	s, err := job.Run(t.Context())
	if err != nil || s.Canceled != 4 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A run that goes on in a Redis that does not know it tells it what is in the journal.
func TestRunIsABatchAgain(t *testing.T) {
	content, questions := quiz(30)
	b := newBook()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	in := open(t, "q.jsonl", content, batch.InputOptions{})
	l, stop := newLine(t, redistest.Embedded(t), b)
	job := registered(l, in, path)
	job.Drain = stop
	ctx, cancel := context.WithCancelCause(t.Context())
	var name string
	job.OnRecord = func(*batch.Row, *results.Result) {
		if job.Snapshot().Done == 10 {
			name = only(t, job.Batches).ID
			cancel(errStopped)
		}
	}
	if _, err := job.Run(ctx); !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	l, _ = newLine(t, redistest.Embedded(t), b)
	job = registered(l, in, path)
	s, err := job.Run(t.Context())
	if err != nil || s.Answered != 30 || s.Resumed < 10 {
		t.Fatalf("%+v, %v", s, err)
	}
	complete(t, path, questions)
	got := only(t, job.Batches)
	if got.ID != name || got.Counts.Completed != 30 || got.Tokens.TokenCount != 150 || got.EndedAt.IsZero() {
		t.Errorf("%+v", got)
	}
}

// A task that is given out again after its record was let go is not asked again: see worker.
func TestReleasedIsKnownToHaveEnded(t *testing.T) {
	content, _ := quiz(3)
	l, _ := newLine(t, redistest.Embedded(t), newBook())
	job := registered(l, open(t, "q.jsonl", content, batch.InputOptions{}), filepath.Join(t.TempDir(), "a.jsonl"))
	if _, err := job.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for row := 1; row <= 3; row++ {
		id := fmt.Sprintf("%s-%d", only(t, job.Batches).ID, row)
		if ended, err := tasks.NewTally(l.rdb).Ended(t.Context(), id); err != nil || !ended {
			t.Errorf("%s: %v, %v", id, ended, err)
		}
	}
}

// The batch of a run hears of rows, too, that no worker has seen: later turns of a conversation that is over, and those
// that the cache answers.
func TestRunTellsOfWhatWasNotAsked(t *testing.T) {
	cache, err := batch.OpenCache(t.TempDir(), "here", 0)
	if err != nil {
		t.Fatal(err)
	}
	content := `{"question":"a"}
{"question":"turn 2","conversation_key":"talk"}
{"question":"turn 3","conversation_key":"talk"}
{"question":"turn 4","conversation_key":"talk"}
{"question":"a"}
`
	l, _ := newLine(t, redistest.Embedded(t), newBook())
	badly(l, nil)
	job := registered(l, open(t, "q.jsonl", content, batch.InputOptions{OnTurnFailure: tasks.TurnBlock}), filepath.Join(t.TempDir(), "a.jsonl"))
	job.Cache, job.Window = cache, 1 // a later turn is not in the queue yet when the second one fails
	if s, err := job.Run(t.Context()); err != nil || s.Answered != 2 || s.Failed != 1 || s.Canceled != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	got := only(t, job.Batches)
	if got.Counts != (tasks.BatchCounts{Total: 5, Completed: 2, Failed: 1, Canceled: 2}) || got.EndedAt.IsZero() {
		t.Errorf("%+v", got)
	}
}
