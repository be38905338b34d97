package filerun_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/redistest"
)

// TestSample asks questions from all over the file, the same ones each time, and of a conversation only the first turn.
// What was asked is not asked again by the run that asks the rest.
func TestSample(t *testing.T) {
	content, questions := filetest.Quiz(60) // the 20 of one conversation count as one
	b := filetest.NewBook()
	l, _ := filetest.NewLine(t, redistest.Embedded(t), b)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	for i := range 2 {
		job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
		job.Sample = 10
		s, err := job.Run(t.Context())
		if !errors.Is(err, filerun.ErrSampled) || s.Journal == "" || s.Done() != 10 || len(b.Asked()) != 10 {
			t.Fatalf("run %d: %+v, %v; %d were asked", i, s, err, len(b.Asked()))
		}
		e := s.Estimate
		if e == nil || e.Asked != 10 || e.Rest != 50 || e.Allowed != 50 || e.Tokens != 250 || e.TokensLow != 250 || e.TokensHigh != 250 {
			t.Errorf("run %d: %+v", i, e)
		}
		chain := 20
		if i > 0 {
			chain -= b.Asked()[questions[2]]
		}
		if e.Chain != chain {
			t.Errorf("run %d: the longest conversation has %d turns left, want %d", i, e.Chain, chain)
		}
	}
	for quarter := range 4 {
		if !slices.ContainsFunc(questions[quarter*15:quarter*15+15], func(q string) bool { return b.Asked()[q] > 0 }) {
			t.Errorf("none of quarter %d was asked: %v", quarter+1, b.Asked())
		}
	}
	for i, q := range questions {
		if i%3 == 2 && i > 2 && b.Asked()[q] > 0 {
			t.Errorf("%q is no first turn", q)
		}
	}
	if _, err := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	filetest.Complete(t, path, questions)
	filetest.AskedOnce(t, b, questions)
	for _, turns := range b.Turns {
		if len(turns) > 1 && (len(turns) != 20 || !slices.IsSortedFunc(turns, func(a, b string) int {
			return slices.Index(questions, a) - slices.Index(questions, b)
		})) {
			t.Errorf("turns %q", turns)
		}
	}
}

// A sample that is all there is leaves nothing to estimate.
func TestSampleIsAll(t *testing.T) {
	content, questions := filetest.Quiz(2)
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	path := filepath.Join(t.TempDir(), "a.jsonl")
	job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
	job.Sample = 20
	s, err := job.Run(t.Context())
	if err != nil || s.Estimate == nil || s.Estimate.Rest != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	filetest.Complete(t, path, questions)
}

// A budget bounds the sample, and what is projected.
func TestSampleWithBudget(t *testing.T) {
	content, _ := filetest.Quiz(60)
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	path := filepath.Join(t.TempDir(), "a.jsonl")
	sample := func(bound func(*filerun.Job)) *progress.Estimate {
		job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
		job.Sample = 10
		bound(job)
		s, err := job.Run(t.Context())
		if !errors.Is(err, filerun.ErrSampled) {
			t.Fatal(err)
		}
		return s.Estimate
	}
	if e := sample(func(j *filerun.Job) { j.MaxQuestions = 4 }); e.Asked != 4 || e.Allowed != 0 || e.Rest != 56 {
		t.Errorf("%+v", e)
	}
	if e := sample(func(j *filerun.Job) { j.MaxTokens = 160 }); e.Allowed != (160-5*e.Asked)/5 || e.Tokens != int64(160-5*e.Asked) {
		t.Errorf("%+v", e)
	}
}

func TestEstimateTime(t *testing.T) {
	second := time.Second
	for name, tt := range map[string]struct {
		e           progress.Estimate
		concurrency int
		rate        float64
		want        time.Duration
	}{
		"by the concurrency": {progress.Estimate{Allowed: 100, Question: 2 * second}, 10, 0, 20 * second},
		"by the rate":        {progress.Estimate{Allowed: 100, Question: 2 * second}, 10, 2, 50 * second},
		"by a conversation":  {progress.Estimate{Allowed: 100, Question: 2 * second, Chain: 30}, 10, 0, time.Minute},
		"one is left":        {progress.Estimate{Allowed: 1, Question: 2 * second}, 10, 0, 2 * second},
		"none is left":       {progress.Estimate{Question: 2 * second}, 10, 0, 0},
	} {
		if got, _, _ := tt.e.Time(tt.concurrency, tt.rate); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
