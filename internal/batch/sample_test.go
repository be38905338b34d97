package batch_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/batch"
	"github.com/cozeq/cozeq/internal/redistest"
)

// TestSample asks questions from all over the file, the same ones each time, and of a conversation only the first turn.
// What was asked is not asked again by the run that asks the rest.
func TestSample(t *testing.T) {
	content, questions := quiz(60) // the 20 of one conversation count as one
	b := newBook()
	l, _ := newLine(t, redistest.Embedded(t), b)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	for i := range 2 {
		job := l.newJob(open(t, "q.jsonl", content, batch.InputOptions{}), path)
		job.Sample = 10
		s, err := job.Run(t.Context())
		if !errors.Is(err, batch.ErrSampled) || s.Journal == "" || s.Done() != 10 || len(b.asked) != 10 {
			t.Fatalf("run %d: %+v, %v; %d were asked", i, s, err, len(b.asked))
		}
		e := s.Estimate
		if e == nil || e.Asked != 10 || e.Rest != 50 || e.Allowed != 50 || e.Tokens != 250 || e.TokensLow != 250 || e.TokensHigh != 250 {
			t.Errorf("run %d: %+v", i, e)
		}
		chain := 20
		if i > 0 {
			chain -= b.asked[questions[2]]
		}
		if e.Chain != chain {
			t.Errorf("run %d: the longest conversation has %d turns left, want %d", i, e.Chain, chain)
		}
	}
	for quarter := range 4 {
		if !slices.ContainsFunc(questions[quarter*15:quarter*15+15], func(q string) bool { return b.asked[q] > 0 }) {
			t.Errorf("none of quarter %d was asked: %v", quarter+1, b.asked)
		}
	}
	for i, q := range questions {
		if i%3 == 2 && i > 2 && b.asked[q] > 0 {
			t.Errorf("%q is no first turn", q)
		}
	}
	if _, err := l.newJob(open(t, "q.jsonl", content, batch.InputOptions{}), path).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	complete(t, path, questions)
	askedOnce(t, b, questions)
	for _, turns := range b.turns {
		if len(turns) > 1 && (len(turns) != 20 || !slices.IsSortedFunc(turns, func(a, b string) int {
			return slices.Index(questions, a) - slices.Index(questions, b)
		})) {
			t.Errorf("turns %q", turns)
		}
	}
}

// A sample that is all there is leaves nothing to estimate.
func TestSampleIsAll(t *testing.T) {
	content, questions := quiz(2)
	l, _ := newLine(t, redistest.Embedded(t), newBook())
	path := filepath.Join(t.TempDir(), "a.jsonl")
	job := l.newJob(open(t, "q.jsonl", content, batch.InputOptions{}), path)
	job.Sample = 20
	s, err := job.Run(t.Context())
	if err != nil || s.Estimate == nil || s.Estimate.Rest != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	complete(t, path, questions)
}

// A budget bounds the sample, and what is projected.
func TestSampleWithBudget(t *testing.T) {
	content, _ := quiz(60)
	l, _ := newLine(t, redistest.Embedded(t), newBook())
	path := filepath.Join(t.TempDir(), "a.jsonl")
	sample := func(bound func(*batch.Job)) *batch.Estimate {
		job := l.newJob(open(t, "q.jsonl", content, batch.InputOptions{}), path)
		job.Sample = 10
		bound(job)
		s, err := job.Run(t.Context())
		if !errors.Is(err, batch.ErrSampled) {
			t.Fatal(err)
		}
		return s.Estimate
	}
	if e := sample(func(j *batch.Job) { j.MaxQuestions = 4 }); e.Asked != 4 || e.Allowed != 0 || e.Rest != 56 {
		t.Errorf("%+v", e)
	}
	if e := sample(func(j *batch.Job) { j.MaxTokens = 160 }); e.Allowed != (160-5*e.Asked)/5 || e.Tokens != int64(160-5*e.Asked) {
		t.Errorf("%+v", e)
	}
}

func TestEstimateTime(t *testing.T) {
	second := time.Second
	for name, tt := range map[string]struct {
		e           batch.Estimate
		concurrency int
		rate        float64
		want        time.Duration
	}{
		"by the concurrency": {batch.Estimate{Allowed: 100, Question: 2 * second}, 10, 0, 20 * second},
		"by the rate":        {batch.Estimate{Allowed: 100, Question: 2 * second}, 10, 2, 50 * second},
		"by a conversation":  {batch.Estimate{Allowed: 100, Question: 2 * second, Chain: 30}, 10, 0, time.Minute},
		"one is left":        {batch.Estimate{Allowed: 1, Question: 2 * second}, 10, 0, 2 * second},
		"none is left":       {batch.Estimate{Question: 2 * second}, 10, 0, 0},
	} {
		if got, _, _ := tt.e.Time(tt.concurrency, tt.rate); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
