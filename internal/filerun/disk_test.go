package filerun_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

// TestFullDisk: a journal that cannot be written ends the run, once it has let the chats in flight end. It is said once,
// and when there is room again the run goes on.
func TestFullDisk(t *testing.T) {
	content, questions := filetest.Quiz(9)
	b := filetest.NewBook()
	l, stop := filetest.NewLine(t, redistest.Embedded(t), b)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path)
	job.Window, job.Drain = 3, stop
	full := errors.New("no room on the disk")
	var once sync.Once
	job.OnRecord = func(*input.Row, *results.Result) { once.Do(func() { job.BreakDisk(full) }) }
	s, err := job.Run(t.Context())
	if !errors.Is(err, full) || strings.Count(err.Error(), "no room") != 1 || s.Done() != 1 || s.Journal == "" {
		t.Errorf("%+v, %q", s, err)
	}
	l, _ = filetest.NewLine(t, redistest.Embedded(t), b)
	if s, err := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), path).Run(t.Context()); err != nil || s.Resumed != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	filetest.Complete(t, path, questions)
}
