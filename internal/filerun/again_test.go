package filerun_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/results"
)

// once runs a job to its end on a new line.
func once(t *testing.T, b *filetest.Book, in *input.Input, path string, set func(*filetest.Line, *filerun.Job)) (progress.Summary, error) {
	t.Helper()
	l, stop := filetest.NewLine(t, redistest.Embedded(t), b)
	defer stop()
	job := l.NewJob(in, path)
	if set != nil {
		set(l, job)
	}
	return job.Run(t.Context())
}

func badly(l *filetest.Line, _ *filerun.Job) {
	l.Fails = func(q string) bool { return strings.HasSuffix(q, "2") || strings.HasSuffix(q, "5") }
}

func TestCompleteOutputIsLeftAlone(t *testing.T) {
	content, _ := filetest.Quiz(5)
	for _, name := range []string{"a.jsonl", "a.csv", "a.tsv"} {
		b := filetest.NewBook()
		path := filepath.Join(t.TempDir(), name)
		in := filetest.Open(t, "q.jsonl", content, input.Options{})
		first, err := once(t, b, in, path, badly)
		if err != nil || first.Failed != 2 || len(first.Failures) != 1 || first.Failures[0].Count != 2 || first.Failures[0].Code != 4000 {
			t.Fatalf("%s: %+v, %v", name, first, err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := once(t, b, in, path, nil)
		if err != nil || !s.AlreadyComplete || s.Rows != 5 || s.Answered != 3 || s.Failed != 2 || s.Asked != 0 {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) || len(b.Taken) != 5 {
			t.Errorf("%s was not left alone: %q", name, b.Taken)
		}
	}
}

func TestRetryFailed(t *testing.T) {
	content, questions := filetest.Quiz(5)
	for _, name := range []string{"a.jsonl", "a.csv"} {
		t.Run(name, func(t *testing.T) {
			b := filetest.NewBook()
			path := filepath.Join(t.TempDir(), name)
			in := filetest.Open(t, "q.jsonl", content, input.Options{})
			if _, err := once(t, b, in, path, badly); err != nil {
				t.Fatal(err)
			}
			for range 2 { // fails again, and again gets another id
				s, err := once(t, b, in, path, func(l *filetest.Line, job *filerun.Job) {
					badly(l, job)
					job.RetryFailed = true
				})
				if err != nil || s.Failed != 2 || s.Resumed != 3 || s.Asked != 2 {
					t.Fatalf("%+v, %v", s, err)
				}
			}
			retried := func(_ *filetest.Line, job *filerun.Job) { job.RetryFailed = true }
			s, err := once(t, b, in, path, retried)
			if err != nil || s.Answered != 5 || s.Resumed != 3 || s.Asked != 2 {
				t.Fatalf("%+v, %v", s, err)
			}
			seen := make(map[string]bool)
			for _, id := range b.Taken {
				if seen[id] {
					t.Errorf("id %s was used twice", id)
				}
				seen[id] = true
			}
			if n := b.Asked()[questions[1]]; n != 4 || b.Asked()[questions[0]] != 1 {
				t.Errorf("asked %v", b.Asked())
			}
			if name == "a.jsonl" {
				filetest.Complete(t, path, questions)
				if id := filetest.Records(t, path)[1].ID; !strings.HasSuffix(id, "-2.4") {
					t.Errorf("the fourth ask of row 2 is %s", id)
				}
			}
			if s, err = once(t, b, in, path, retried); err != nil || !s.AlreadyComplete {
				t.Errorf("with nothing to retry: %+v, %v", s, err)
			}
			filetest.Alone(t, path)
		})
	}
}

func TestForceStartsOver(t *testing.T) {
	content, questions := filetest.Quiz(3)
	b := filetest.NewBook()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	in := filetest.Open(t, "q.jsonl", content, input.Options{})
	if _, err := once(t, b, in, path, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".partial", []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := once(t, b, in, path, func(_ *filetest.Line, job *filerun.Job) { job.Force = true })
	if err != nil || s.Asked != 3 {
		t.Fatalf("%+v, %v", s, err)
	}
	filetest.Complete(t, path, questions)
}

// begun leaves a journal of a run that was stopped before anything was asked.
func begun(t *testing.T, in *input.Input, path string) {
	t.Helper()
	l, stop := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	stop()
	ctx, cancel := context.WithCancelCause(t.Context())
	job := l.NewJob(in, path)
	job.OnSnapshot = func(progress.Snapshot) { cancel(filetest.ErrStopped) }
	if _, err := job.Run(ctx); !errors.Is(err, filetest.ErrStopped) {
		t.Fatal(err)
	}
}

func TestChangedInput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	begun(t, filetest.Open(t, "q.txt", "one\ntwo\n", input.Options{}), path)
	for _, test := range []struct {
		name, content string
		options       input.Options
		want          string
	}{
		{"q.txt", "one\nthree\n", input.Options{}, "its content has changed since"},
		{"q.txt", "one\ntwo\n", input.Options{BotID: "8"}, `the bot was "bot", now "8"`},
	} {
		_, err := once(t, filetest.NewBook(), filetest.Open(t, test.name, test.content, test.options), path, nil)
		changed, ok := errors.AsType[*journal.ChangedError](err)
		if !ok || changed.File != path+".partial" || changed.What != test.want || !strings.Contains(err.Error(), "--force") {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	in := filetest.Open(t, "q.txt", "one\n", input.Options{})
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := filepath.Join(dir, "b.csv")
	write("b.csv.partial", "dear diary\n")
	for _, test := range []struct{ path, want string }{
		{filepath.Join(dir, "a.docx"), "cannot tell the format of"},
		{write("notes.jsonl", "{\"a\":1}\n"), "is no output of a run (line 1: not a record with custom_id and status)"},
		{write("table.csv", "a,b\n1,2\n"), "is no output of a run (line 1: the last columns are not answer, status,"},
		{foreign, "is not the journal of a run"},
	} {
		_, err := once(t, filetest.NewBook(), in, test.path, nil)
		if _, ok := errors.AsType[*usage.Error](err); !ok || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.path, err, test.want)
		}
	}
	if left, _ := os.ReadFile(foreign + ".partial"); string(left) != "dear diary\n" {
		t.Errorf("a foreign file was changed: %q", left)
	}
	self := filetest.Open(t, "self.csv", "question\nx\n", input.Options{})
	if _, err := once(t, filetest.NewBook(), self, self.Name(), nil); err == nil || !strings.Contains(err.Error(), "is the input") {
		t.Errorf("writing over the input: %v", err)
	}
}

func TestOneRunAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	in := filetest.Open(t, "q.txt", "one\ntwo\n", input.Options{})
	var second error
	_, err := once(t, filetest.NewBook(), in, path, func(l *filetest.Line, job *filerun.Job) {
		job.OnRecord = func(*input.Row, *results.Result) {
			if second == nil {
				other := &filerun.Job{Input: in, Output: path, Tasks: l.Client, Results: l.Store, Conversations: l.Conversations}
				_, second = other.Run(t.Context())
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(second, journal.ErrLocked) || !strings.Contains(second.Error(), path+".partial") {
		t.Errorf("the second run: %v", second)
	}
}

// A row that has its record is not asked again, whatever the queue says.
func TestProgressOfAnEndedRow(t *testing.T) {
	b := filetest.NewBook()
	l, _ := filetest.NewLine(t, redistest.Embedded(t), b)
	job := l.NewJob(filetest.Open(t, "q.txt", "one\ntwo\n", input.Options{}), filepath.Join(t.TempDir(), "a.jsonl"))
	var errs []error
	job.OnRecord = func(_ *input.Row, res *results.Result) {
		errs = append(errs, job.Progress(t.Context(), filerun.Progress{ID: res.ID, AskedAt: time.Now()}))
	}
	if _, err := job.Run(t.Context()); err != nil || len(errs) != 2 {
		t.Fatalf("%v, %d rows", err, len(errs))
	}
	for _, err := range errs {
		if err == nil {
			t.Error("a question may be asked again that has its answer in the journal")
		}
	}
}

func TestProgressAfterTheRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	b := filetest.NewBook()
	var job *filerun.Job
	if _, err := once(t, b, filetest.Open(t, "q.txt", "one\n", input.Options{}), path, func(_ *filetest.Line, j *filerun.Job) { job = j }); err != nil {
		t.Fatal(err)
	}
	if err := job.Progress(t.Context(), filerun.Progress{ID: b.Taken[0]}); err == nil {
		t.Error("a question may be asked that nobody has written down")
	}
	if err := job.Progress(t.Context(), filerun.Progress{ID: "another-1"}); err != nil {
		t.Errorf("another's task: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(filetest.ErrStopped)
	if err := new(filerun.Job).Progress(ctx, filerun.Progress{}); !errors.Is(err, filetest.ErrStopped) {
		t.Errorf("before the run: %v", err)
	}
}

// TestRetryKeepsDoubt asks failed rows again, twice: what may have an answer at Coze says so
// to the end.
func TestRetryKeepsDoubt(t *testing.T) {
	content, questions := filetest.Quiz(5)
	b := filetest.NewBook()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	in := filetest.Open(t, "q.jsonl", content, input.Options{})
	for n, set := range []func(*filetest.Line, *filerun.Job){
		func(l *filetest.Line, job *filerun.Job) {
			badly(l, job)
			l.Doubts = func(q string) bool { return q == questions[1] }
		},
		func(l *filetest.Line, job *filerun.Job) { badly(l, job); job.RetryFailed = true },
		func(_ *filetest.Line, job *filerun.Job) { job.RetryFailed = true },
	} {
		s, err := once(t, b, in, path, set)
		if err != nil {
			t.Fatal(err)
		}
		if s.Doubtful != 1 {
			t.Errorf("run %d: the summary counts %d possible duplicates", n+1, s.Doubtful)
		}
		for i, r := range filetest.Records(t, path) {
			if r.PossibleDuplicate != (i == 1) {
				t.Errorf("run %d, row %d: %+v", n+1, i+1, r)
			}
		}
	}
}
