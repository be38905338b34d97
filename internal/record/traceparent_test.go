package record_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
)

// TestTraceParent: the span that one attempt has noted is known to the next, from the
// moment of asking on and after a wait, and stands in no result.
func TestTraceParent(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const own, other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
		s := newStore(t, rdb)
		tasktest.Create(t, s.reader, "t1")
		a := tasktest.Begin(t, s.reader, "t1")
		if a.Result.TraceParent != "" {
			t.Errorf("a new record has %q", a.Result.TraceParent)
		}
		a.Result.TraceParent = own
		if err := a.Asking(t.Context(), "c1"); err != nil {
			t.Fatal(err)
		}
		a = tasktest.Begin(t, s.reader, "t1")
		if a.Result.TraceParent != own {
			t.Errorf("after Asking %q", a.Result.TraceParent)
		}
		a.Result.TraceParent = other
		if err := a.Wait(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		a = tasktest.Begin(t, s.reader, "t1")
		if a.Result.TraceParent != other {
			t.Errorf("after Wait %q", a.Result.TraceParent)
		}
		tasktest.Finish(t, a, "an answer")
		if got := tasktest.Hash(t, rdb, "t1")["traceparent"]; got != other {
			t.Errorf("in the hash %q", got)
		}
		message, err := tasktest.Get(t, s.reader, "t1").Encode()
		if err != nil || strings.Contains(string(message), "traceparent") {
			t.Errorf("the result says %s, %v", message, err)
		}
	})
}
