package filerun_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/runbatch"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// abandoned is a run that ends after its first rows, while the workers answer all that it has enqueued.
type abandoned struct {
	book      *filetest.Book
	line      *filetest.Line
	in        *input.Input
	path      string
	questions []string
	collected int // rows in the journal
}

const abandonedWindow = 12

// abandon leaves a run of 20 rows, 12 of which are in Redis at a time.
func abandon(t *testing.T, rdb redis.UniversalClient, output string) *abandoned {
	t.Helper()
	a := &abandoned{book: filetest.NewBook(), path: filepath.Join(t.TempDir(), output)}
	var content string
	for i := range 20 {
		q := fmt.Sprintf("question %d", i+1)
		content += q + "\n"
		a.questions = append(a.questions, q)
	}
	a.line, _ = filetest.NewLine(t, rdb, a.book)
	a.in = filetest.Open(t, "q.txt", content, input.Options{})
	job := a.job()
	job.Window = abandonedWindow
	gone := make(chan struct{})
	release := sync.OnceFunc(func() { close(gone) })
	t.Cleanup(release)
	a.line.After = func(id string) {
		if _, row, _, _ := batches.ParseTaskID(id); row > 4 {
			<-gone
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	job.OnRecord = func(*input.Row, *results.Result) {
		if job.Snapshot().Done == 4 {
			cancel(filetest.ErrStopped)
		}
	}
	s, err := job.Run(ctx)
	if !errors.Is(err, filetest.ErrStopped) {
		t.Fatal(err)
	}
	a.collected = s.Done()
	release()
	awaittest.Until(t, "the workers have answered what was enqueued", func() bool {
		queued := rdb.LLen(t.Context(), "asynq:{default}:pending").Val() + rdb.LLen(t.Context(), "asynq:{default}:active").Val()
		return queued == 0
	})
	return a
}

// job is a go at the run. The workers are those of others: they tell it nothing.
func (a *abandoned) job() *filerun.Job {
	job := registered(a.line, a.in, a.path)
	job.Options.Keep = 4 * time.Second
	a.line.Mu.Lock()
	a.line.Job = nil
	a.line.Mu.Unlock()
	return job
}

// asked is how often the questions were asked in all.
func (a *abandoned) asked() (n int) {
	for _, times := range a.book.Asked() {
		n += times
	}
	return n
}

// TestUncollectedResultsLiveOn: they are kept as long as the batch, whatever --keep says.
func TestUncollectedResultsLiveOn(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		a := abandon(t, rdb, "a.jsonl")
		keys := redistest.Keys(t, rdb, "cozeq:result:*")
		if len(keys) == 0 {
			t.Fatal("no result is left")
		}
		for _, key := range keys {
			if ttl := rdb.TTL(t.Context(), key).Val(); ttl < runbatch.Keep-time.Hour {
				t.Errorf("%s is kept for %v", key, ttl)
			}
		}
		s, err := a.job().Run(t.Context())
		if err != nil || s.Answered != 20 || s.Tokens != 100 {
			t.Fatalf("%+v, %v", s, err)
		}
		filetest.Complete(t, a.path, a.questions)
		filetest.AskedOnce(t, a.book, a.questions)
		if b := only(t, a.job().Batches.Client); b.Tokens.TokenCount != 100 || b.Counts.Completed != 20 {
			t.Errorf("the batch: %+v", b)
		}
	})
}

// TestSweepOfAnAbandonedRun gives the results of a run whose batch has ended the batch's time.
func TestSweepOfAnAbandonedRun(t *testing.T) {
	rdb := redistest.Embedded(t)
	l, _ := filetest.NewLine(t, rdb, filetest.NewBook())
	job := registered(l, filetest.Open(t, "q.txt", "one\ntwo\n", input.Options{}), filepath.Join(t.TempDir(), "a.jsonl"))
	l.Mu.Lock()
	l.Job = nil // the worker is another's
	l.Mu.Unlock()
	second, gone := make(chan struct{}), make(chan struct{})
	l.After = func(id string) {
		if _, row, _, _ := batches.ParseTaskID(id); row == 1 {
			<-second
			return
		}
		close(second)
		<-gone
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	job.OnRecord = func(*input.Row, *results.Result) { cancel(filetest.ErrStopped) }
	_, err := job.Run(ctx)
	close(gone)
	if !errors.Is(err, filetest.ErrStopped) {
		t.Fatal(err)
	}
	awaittest.Until(t, "both are answered", func() bool { return only(t, job.Batches.Client).Counts.Completed == 2 })
	if err := tally.New(rdb).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := redistest.Keys(t, rdb, "cozeq:result:*")
	if len(keys) != 1 {
		t.Errorf("left in Redis: %q", keys)
	}
	for _, key := range keys {
		if ttl := rdb.TTL(t.Context(), key).Val(); ttl > batches.DefaultKeep || ttl < batches.DefaultKeep-time.Hour {
			t.Errorf("%s is kept for %v", key, ttl)
		}
	}
}

// TestLostResults takes results out of Redis that no run has collected: these rows are not asked again but reported, and
// the tokens that they have cost count.
func TestLostResults(t *testing.T) {
	for _, output := range []string{"a.jsonl", "a.csv"} {
		redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
			a := abandon(t, rdb, output)
			gone := 0
			for _, key := range redistest.Keys(t, rdb, "cozeq:result:*") {
				// One of a row that was just being enqueued has not ended.
				if gone < 5 && rdb.HGet(t.Context(), key, "status").Val() == string(results.Completed) {
					gone += int(rdb.Del(t.Context(), key).Val())
				}
			}
			if gone < 5 {
				t.Fatalf("only %d results were left in Redis", gone)
			}
			s, err := a.job().Run(t.Context())
			if err != nil || s.Answered != 15 || s.Failed != 5 || s.Tokens != 100 || s.TokensIn != 40 || s.TokensOut != 60 {
				t.Fatalf("%s: %+v, %v", output, s, err)
			}
			if n := a.asked(); n != 20 {
				t.Errorf("asked %d times, want 20", n)
			}
			if len(s.Failures) != 1 || s.Failures[0].Class != "transient" && output == "a.jsonl" || s.Failures[0].Hint == "" {
				t.Errorf("%+v", s.Failures)
			}
			if b := only(t, a.job().Batches.Client); b.Counts != (batches.Counts{Total: 20, Completed: 15, Failed: 5}) || b.Tokens.TokenCount != 100 {
				t.Errorf("the batch: %+v", b)
			}
			// The same again asks nothing, and counts the same.
			if s, err = a.job().Run(t.Context()); err != nil || s.Failed != 5 || s.Asked != 0 || s.Tokens != 100 {
				t.Fatalf("%s, again: %+v, %v", output, s, err)
			}

			job, marked := a.job(), 0
			job.RetryFailed = true
			job.OnRecord = func(_ *input.Row, r *results.Result) {
				if r.PossibleDuplicate {
					marked++
				}
			}
			s, err = job.Run(t.Context())
			if err != nil || s.Answered != 20 || s.Asked != 5 || marked != 5 || s.Tokens != 125 {
				t.Errorf("%s, failed ones: %+v, %v, %d marked", output, s, err, marked)
			}
		})
	}
}

// TestLostBatch: with the batch gone, too, only the journal knows how far rows were enqueued. They are asked again, and
// marked; the others are not marked.
func TestLostBatch(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		a := abandon(t, rdb, "a.jsonl")
		fed := only(t, a.job().Batches.Client).Enqueued
		if fed <= a.collected || fed == 20 {
			t.Fatalf("%d of 20 enqueued, %d collected", fed, a.collected)
		}
		for _, key := range redistest.Keys(t, rdb, "*") {
			if err := rdb.Del(t.Context(), key).Err(); err != nil {
				t.Fatal(err)
			}
		}
		// One go at it dies before it enqueues anything: the next one knows as much.
		job := a.job()
		ctx, cancel := context.WithCancelCause(t.Context())
		job.OnSnapshot = func(progress.Snapshot) { cancel(filetest.ErrStopped) }
		if _, err := job.Run(ctx); !errors.Is(err, filetest.ErrStopped) {
			t.Fatal(err)
		}
		s, err := a.job().Run(t.Context())
		if err != nil || s.Answered != 20 {
			t.Fatalf("%+v, %v", s, err)
		}
		for i, r := range filetest.Records(t, a.path) {
			n := a.book.Asked()[a.questions[i]]
			// The journal names a row before Redis gets it, and a row that is collected makes room for one.
			named := i < abandonedWindow+a.collected
			if n > 1 && !r.PossibleDuplicate || r.PossibleDuplicate && (n == 1 && i < a.collected || !named) {
				t.Errorf("row %d: marked %v, asked %d times; %d enqueued, %d collected", i+1, r.PossibleDuplicate, n, fed, a.collected)
			}
		}
	})
}
