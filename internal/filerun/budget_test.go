package filerun_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/redistest"
)

// budgetRun runs an input with bounds and tells why it ended.
func budgetRun(t *testing.T, l *filetest.Line, content, path string, bound func(*filerun.Job)) (progress.Summary, *filerun.BudgetError) {
	t.Helper()
	job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
	bound(job)
	s, err := job.Run(t.Context())
	e, ok := errors.AsType[*filerun.BudgetError](err)
	if err != nil && !ok {
		t.Fatal(err)
	}
	if ok && s.Journal != path+".partial" {
		t.Errorf("no journal to go on with: %+v", s)
	}
	return s, e
}

// TestMaxQuestions asks the first ones of the file and no more, in any number of runs.
func TestMaxQuestions(t *testing.T) {
	content, questions := filetest.Quiz(12)
	b := filetest.NewBook()
	l, _ := filetest.NewLine(t, redistest.Embedded(t), b)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	for i, most := range []int{5, 5, 3, 8} {
		s, e := budgetRun(t, l, content, path, func(j *filerun.Job) { j.MaxQuestions = most })
		asked := []int{5, 5, 5, 8}[i]
		if e == nil || e.What != filerun.BudgetQuestions || e.Limit != int64(most) || e.Used != int64(asked) || s.Done() != asked {
			t.Errorf("run %d: %+v, %+v", i, e, s)
		}
		filetest.AskedOnce(t, b, questions[:asked])
		if len(b.Asked()) != asked {
			t.Errorf("run %d: %d were asked, want %d", i, len(b.Asked()), asked)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("run %d: the output is there before it is complete: %v", i, err)
		}
	}
	// A budget that is just enough is none that is used up.
	if _, e := budgetRun(t, l, content, path, func(j *filerun.Job) { j.MaxQuestions = 12 }); e != nil {
		t.Error(e)
	}
	filetest.Complete(t, path, questions)
	filetest.AskedOnce(t, b, questions)
}

// TestMaxTokens never has more enqueued than the budget pays for: with 5 tokens a question a budget of 42 is passed by
// the one question that cannot be told from the last that fits.
func TestMaxTokens(t *testing.T) {
	content, questions := filetest.Quiz(30)
	b := filetest.NewBook()
	l, _ := filetest.NewLine(t, redistest.Embedded(t), b)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	s, e := budgetRun(t, l, content, path, func(j *filerun.Job) { j.MaxTokens = 42 })
	if e == nil || e.What != filerun.BudgetTokens || e.Used != 45 || s.Tokens != 45 || s.Asked != 9 {
		t.Errorf("%+v, %+v", e, s)
	}
	s, e = budgetRun(t, l, content, path, func(j *filerun.Job) { j.MaxTokens = 42 })
	if e == nil || e.Used != 45 || s.Asked != 0 || s.Resumed != 9 {
		t.Errorf("again: %+v, %+v", e, s)
	}
	if _, e := budgetRun(t, l, content, path, func(j *filerun.Job) { j.MaxTokens = 150 }); e != nil {
		t.Error(e)
	}
	filetest.Complete(t, path, questions)
	filetest.AskedOnce(t, b, questions)
}

// TestBudgetCountsWhatIsVoid: what a failed question has cost is spent, though it is asked again.
func TestBudgetCountsWhatIsVoid(t *testing.T) {
	content, _ := filetest.Quiz(2)
	b := filetest.NewBook()
	l, _ := filetest.NewLine(t, redistest.Embedded(t), b)
	l.Fails = func(string) bool { return true }
	path := filepath.Join(t.TempDir(), "a.jsonl")
	if _, e := budgetRun(t, l, content, path, func(*filerun.Job) {}); e != nil {
		t.Fatal(e)
	}
	// 10 are spent. Each run voids the failed records that it finds.
	for i, tt := range []struct {
		most, spent    int64
		asked1, asked2 int
		reached        bool
	}{{15, 15, 2, 1, true}, {15, 15, 2, 1, true}, {30, 25, 3, 2, false}} {
		s, e := budgetRun(t, l, content, path, func(j *filerun.Job) { j.RetryFailed, j.MaxTokens = true, tt.most })
		if s.Tokens != tt.spent || (e != nil) != tt.reached {
			t.Errorf("run %d: %d tokens, want %d; %v", i, s.Tokens, tt.spent, e)
		}
		if b.Asked()["question 1"] != tt.asked1 || b.Asked()["question 2"] != tt.asked2 {
			t.Errorf("run %d: asked %v", i, b.Asked())
		}
	}
}

// TestBudgetAndFlights cuts the journal behind each note of a chat. What was in flight is paid for: it is looked up
// although the budget is used up, and nothing else is asked.
func TestBudgetAndFlights(t *testing.T) {
	content, questions := filetest.Quiz(7)
	dir := t.TempDir()
	var whole []byte
	{
		l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
		path := filepath.Join(dir, "whole.jsonl")
		_, e := budgetRun(t, l, content, path, func(j *filerun.Job) { j.MaxQuestions = 6 })
		if e == nil {
			t.Fatal("the budget was not reached")
		}
		var err error
		if whole, err = os.ReadFile(path + ".partial"); err != nil {
			t.Fatal(err)
		}
	}
	at := 0
	for line := range bytes.Lines(whole) {
		if at += len(line); !strings.Contains(string(line), `"cozeq":"chat"`) {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			b := filetest.NewBook()
			l, _ := filetest.NewLine(t, redistest.Embedded(t), b)
			path := filepath.Join(dir, fmt.Sprintf("cut%d.jsonl", at))
			if err := os.WriteFile(path+".partial", whole[:at], 0o600); err != nil {
				t.Fatal(err)
			}
			recorded, flying := readJournal(t, whole[:at])
			known := len(recorded) + len(flying)
			s, e := budgetRun(t, l, content, path, func(j *filerun.Job) { j.MaxQuestions = known })
			if e == nil || s.Done() != known || len(b.Asked()) != 0 || len(b.LookedUp) != len(flying) {
				t.Errorf("cut at %d: %+v, %v asked, %v looked up, want %d", at, s, b.Asked(), b.LookedUp, len(flying))
			}
			if _, e := budgetRun(t, l, content, path, func(*filerun.Job) {}); e != nil {
				t.Error(e)
			}
			filetest.Complete(t, path, questions)
		})
	}
}
