package filerun_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/runbatch"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// registered is a job that stands in Redis as a batch.
func registered(l *filetest.Line, in *input.Input, output string) *filerun.Job {
	job := l.NewJob(in, output)
	job.Forget, job.Batches = false, runbatch.New(l.Client)
	return job
}

// only returns the one batch that is there.
func only(t *testing.T, bs *batches.Client) *batches.Status {
	t.Helper()
	all, err := bs.List(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("batches %v, %v", all, err)
	}
	return all[0]
}

// A run on a shared Redis is a batch there; its results leave Redis when they are in the journal.
func TestRunIsABatch(t *testing.T) {
	content, _ := filetest.Quiz(12)
	b := filetest.NewBook()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	l, stop := filetest.NewLine(t, redistest.Embedded(t), b)
	badly(l, nil)
	job := registered(l, filetest.Open(t, "q.jsonl", content, input.Options{BotID: "bot"}), path)
	s, err := job.Run(t.Context())
	if err != nil || s.Answered != 9 || s.Failed != 3 {
		t.Fatalf("%+v, %v", s, err)
	}
	stop()
	got := only(t, job.Batches.Client)
	if got.Kind != batches.KindRun || got.Name != "q.jsonl" || got.Output != path || got.Host == "" || got.BotID != "bot" || got.SubmittedAt.IsZero() || got.EndedAt.IsZero() || got.Enqueued != 12 {
		t.Errorf("%+v", got)
	}
	if got.Counts != (batches.Counts{Total: 12, Completed: 9, Failed: 3}) || got.Tokens.TokenCount != 60 || len(got.Failures) != 1 {
		t.Errorf("%+v", got)
	}
	for _, r := range filetest.Records(t, path) {
		if r.BatchID != got.ID || !strings.HasPrefix(r.ID, got.ID+"-") {
			t.Errorf("%+v", r)
		}
	}
	if left := redistest.Keys(t, l.Redis, "cozeq:result:*"); len(left) > 0 {
		t.Errorf("left in Redis: %q", left)
	}
	if left := redistest.Keys(t, l.Redis, "asynq:*:t:*"); len(left) > 0 {
		t.Errorf("left in the queue: %q", left)
	}
}

// Somebody cancels the batch: the run writes what it has, and asks the rest when it is told to.
func TestRunIsCanceled(t *testing.T) {
	content, questions := filetest.Quiz(20)
	b := filetest.NewBook()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	l, stop := filetest.NewLine(t, redistest.Embedded(t), b)
	in := filetest.Open(t, "q.jsonl", content, input.Options{})
	job := registered(l, in, path)
	job.Window = 2
	canceled := make(chan struct{})
	cancel := sync.OnceFunc(func() {
		if err := job.Batches.Cancel(t.Context(), only(t, job.Batches.Client).ID, nil); err != nil {
			t.Error(err)
		}
		close(canceled)
	})
	l.After = func(string) {
		cancel()
		<-canceled
	}
	s, err := job.Run(t.Context())
	if err != nil || s.Rows != 20 || s.Answered+s.Canceled != 20 || s.Canceled < 17 {
		t.Fatalf("%+v, %v", s, err)
	}
	filetest.Alone(t, path)
	for i, r := range filetest.Records(t, path) {
		if r.Status == results.Canceled && (r.Error == nil || r.Error.Class != "canceled" || b.Asked()[questions[i]] > 0) {
			t.Errorf("%+v, asked %d times", r, b.Asked()[questions[i]])
		}
	}
	before := only(t, job.Batches.Client)
	if before.CanceledAt.IsZero() || before.Counts.Open() != 0 {
		t.Errorf("%+v", before)
	}
	stop()

	l, _ = filetest.NewLine(t, l.Redis, b)
	job = registered(l, in, path)
	job.RetryFailed = true
	s, err = job.Run(t.Context())
	if err != nil || s.Answered != 20 {
		t.Fatalf("again: %+v, %v", s, err)
	}
	filetest.Complete(t, path, questions)
	filetest.AskedOnce(t, b, questions)
	after := only(t, job.Batches.Client)
	if after.ID != before.ID || !after.CanceledAt.IsZero() || after.EndedAt.IsZero() || after.Counts.Completed != 20 || after.Tokens.TokenCount != 100 {
		t.Errorf("%+v", after)
	}
}

// A run that waits for its window hears of the cancel, too.
func TestRunHearsOfTheCancel(t *testing.T) {
	content, _ := filetest.Quiz(4)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	rdb := redistest.Embedded(t)
	l, stop := filetest.NewLine(t, rdb, filetest.NewBook())
	stop() // nobody answers
	job := registered(l, filetest.Open(t, "q.jsonl", content, input.Options{}), path)
	job.Window = 1
	go func() {
		awaittest.Until(t, "a row is enqueued", func() bool { return rdb.LLen(context.Background(), "asynq:{default}:pending").Val() > 0 })
		if err := job.Batches.Cancel(context.Background(), only(t, job.Batches.Client).ID, nil); err != nil {
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
	content, questions := filetest.Quiz(30)
	b := filetest.NewBook()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	in := filetest.Open(t, "q.jsonl", content, input.Options{})
	l, stop := filetest.NewLine(t, redistest.Embedded(t), b)
	job := registered(l, in, path)
	job.Drain = stop
	ctx, cancel := context.WithCancelCause(t.Context())
	var name string
	job.OnRecord = func(*input.Row, *results.Result) {
		if job.Snapshot().Done == 10 {
			name = only(t, job.Batches.Client).ID
			cancel(filetest.ErrStopped)
		}
	}
	if _, err := job.Run(ctx); !errors.Is(err, filetest.ErrStopped) {
		t.Fatal(err)
	}
	l, _ = filetest.NewLine(t, redistest.Embedded(t), b)
	job = registered(l, in, path)
	s, err := job.Run(t.Context())
	if err != nil || s.Answered != 30 || s.Resumed < 10 {
		t.Fatalf("%+v, %v", s, err)
	}
	filetest.Complete(t, path, questions)
	got := only(t, job.Batches.Client)
	if got.ID != name || got.Counts.Completed != 30 || got.Tokens.TokenCount != 150 || got.EndedAt.IsZero() {
		t.Errorf("%+v", got)
	}
}

// A task that is given out again after its record was let go is not asked again: see worker.
func TestReleasedIsKnownToHaveEnded(t *testing.T) {
	content, _ := filetest.Quiz(3)
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	job := registered(l, filetest.Open(t, "q.jsonl", content, input.Options{}), filepath.Join(t.TempDir(), "a.jsonl"))
	if _, err := job.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for row := 1; row <= 3; row++ {
		id := fmt.Sprintf("%s-%d", only(t, job.Batches.Client).ID, row)
		if ended, err := tally.New(l.Redis).Ended(t.Context(), id); err != nil || !ended {
			t.Errorf("%s: %v, %v", id, ended, err)
		}
	}
}

// The batch of a run hears of rows, too, that no worker has seen: later turns of a conversation that is over, and those
// that the cache answers.
func TestRunTellsOfWhatWasNotAsked(t *testing.T) {
	cache, err := answercache.Open(t.TempDir(), "here", 0)
	if err != nil {
		t.Fatal(err)
	}
	content := `{"question":"a"}
{"question":"turn 2","conversation_key":"talk"}
{"question":"turn 3","conversation_key":"talk"}
{"question":"turn 4","conversation_key":"talk"}
{"question":"a"}
`
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	badly(l, nil)
	job := registered(l, filetest.Open(t, "q.jsonl", content, input.Options{OnTurnFailure: tasks.TurnBlock}), filepath.Join(t.TempDir(), "a.jsonl"))
	job.Cache, job.Window = cache, 1 // a later turn is not in the queue yet when the second one fails
	if s, err := job.Run(t.Context()); err != nil || s.Answered != 2 || s.Failed != 1 || s.Canceled != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	got := only(t, job.Batches.Client)
	if got.Counts != (batches.Counts{Total: 5, Completed: 2, Failed: 1, Canceled: 2}) || got.EndedAt.IsZero() {
		t.Errorf("%+v", got)
	}
}
