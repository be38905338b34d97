package filerun_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/command"
	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/sink"
)

// TestNobodyTakes: a command that dies eight times without taking a record ends the run, which has asked everything. The same run
// with one that takes records hands all of them over and asks nothing.
func TestNobodyTakes(t *testing.T) {
	book := filetest.NewBook()
	path := filepath.Join(t.TempDir(), "a.csv")
	run := func(name string) (asked int, err error) {
		taking, err := command.Parse(name)
		if err != nil {
			t.Skip(err) // no such program on this system
		}
		l, _ := filetest.NewLine(t, redistest.Embedded(t), book)
		job := l.NewJob(filetest.Open(t, "q.txt", "one\ntwo\nthree\n", input.Options{}), path)
		job.OnResult = &sink.Config{Command: taking, Stderr: io.Discard, Pace: backoff.Policy{First: time.Millisecond, Most: time.Millisecond}}
		s, err := job.Run(t.Context())
		return s.Asked, err
	}
	asked, err := run("false")
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Open == 0 || asked != 3 {
		t.Errorf("%d asked, %v", asked, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("OUTPUT is there: %v", err)
	}
	if asked, err := run("cat"); asked != 0 || err != nil {
		t.Errorf("again: %d asked, %v", asked, err)
	}
	if _, err := os.Stat(path); err != nil || len(book.Taken) != 3 {
		t.Errorf("%v, taken %v", err, book.Taken)
	}
}
