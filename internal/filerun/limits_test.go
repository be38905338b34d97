package filerun_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

// TestLimitsAreRemembered has a run that was killed tell the next one which rates it had learnt, the last of them, and
// write none that has hardly moved.
func TestLimitsAreRemembered(t *testing.T) {
	t.Parallel()
	content, questions := filetest.Quiz(3)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
	job.OnLimits = func(learnt map[string]float64) { t.Errorf("a new run is told of %v", learnt) }
	ctx, kill := context.WithCancel(t.Context())
	var killed []byte
	job.OnRecord = func(*input.Row, *results.Result) {
		if killed != nil {
			return
		}
		for _, rate := range []float64{20, 21, 150, 160, 140} {
			if err := job.NoteLimits(ctx, map[string]float64{"credential": rate, "other": 5}); err != nil {
				t.Error(err)
			}
		}
		killed, _ = os.ReadFile(path + ".partial")
		kill()
	}
	_, _ = job.Run(ctx)
	if n := bytes.Count(killed, []byte(`"cozeq":"limits"`)); n != 2 {
		t.Errorf("%d lines of limits, want 2:\n%s", n, killed)
	}

	path = filepath.Join(t.TempDir(), "b.jsonl")
	if err := os.WriteFile(path+".partial", killed, 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ = filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	job = l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
	var told map[string]float64
	job.OnLimits = func(learnt map[string]float64) { told = learnt }
	if _, err := job.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	filetest.Complete(t, path, questions)
	if want := map[string]float64{"credential": 150, "other": 5}; !maps.Equal(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
}
