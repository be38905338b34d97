package record_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
)

// away fails the first command of each pipeline, as a cluster does one of whose nodes is away.
type away struct{ redis.Hook }

var errAway = errors.New("away")

func (away) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (away) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (away) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if cmds[0].Name() == "hget" { // not the greeting of a new connection
			cmds[0].SetErr(errAway)
			err = errAway
		}
		return err
	}
}

func TestCancelRequestedInPart(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		tasktest.Create(t, s.reader, "unknown", "running", "canceled")
		for _, id := range []string{"unknown", "running", "canceled"} {
			tasktest.Begin(t, s.reader, id)
		}
		if _, err := s.Cancel(t.Context(), "canceled"); err != nil {
			t.Fatal(err)
		}
		part := openStore(redistest.Hooked(t, rdb, away{}))
		ids, err := part.CancelRequested(t.Context(), []string{"unknown", "running", "canceled"})
		if len(ids) != 1 || ids[0] != "canceled" || !errors.Is(err, errAway) {
			t.Errorf("got %q, %v; want what could be read, and the error", ids, err)
		}
	})
}
