package tasks_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{}) // tests that look at no log do not fill it
	goleak.VerifyTestMain(m)
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file that others may rely on.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\ngot  %s\nwant %s", path, got, want)
	}
}

// line is a tasktest.Line with what the tests of this package add to it.
type line struct{ *tasktest.Line }

func newLine(t testing.TB, rdb redis.UniversalClient) *line { return &line{tasktest.New(t, rdb)} }

// each runs f on the embedded Redis and on a real one.
func each(t *testing.T, f func(t *testing.T, l *line)) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) { f(t, newLine(t, rdb)) })
}

// eachFault runs f for each call and each fate: see tasktest.EachFault.
func eachFault(t *testing.T, f func(t *testing.T, l *line, n int, what redistest.Fate) (hit bool)) {
	tasktest.EachFault(t, func(t *testing.T, l *tasktest.Line, n int, what redistest.Fate) bool { return f(t, &line{l}, n, what) })
}
