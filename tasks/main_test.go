package tasks_test

import (
	"testing"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable() // tests that look at no log do not fill it
	goleak.VerifyTestMain(m)
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
