package redistest_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
)

// keep writes a key and returns when the replica has it.
func keep(t *testing.T, master *redistest.Server, key string) {
	t.Helper()
	_, err := master.Client().Pipelined(t.Context(), func(p redis.Pipeliner) error {
		p.Set(t.Context(), key, "v", 0)
		p.Do(t.Context(), "WAIT", 1, 10_000)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts []redistest.Option
	}{
		{"plain", nil},
		{"tls", []redistest.Option{redistest.TLS()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := redistest.StartSentinel(t, tt.opts...)
			old := s.Master()
			keep(t, old, "k")
			old.Kill()
			s.AwaitFailover(old)
			if s.Master() == old || s.Replica() != old {
				t.Error("the roles did not change")
			}
			if got, err := s.Client().Get(t.Context(), "k").Result(); err != nil || got != "v" {
				t.Errorf("after the fail-over: %q, %v", got, err)
			}
		})
	}
}

func TestClusterFailover(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts []redistest.Option
	}{
		{"plain", nil},
		{"tls", []redistest.Option{redistest.TLS()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := redistest.StartCluster(t, append(tt.opts, redistest.Replicas(1))...)
			old := c.Owner("k")
			keep(t, old, "k")
			old.Kill()
			c.AwaitFailover(old)
			if c.Owner("k") == old {
				t.Error("the owner did not change")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			for { // until the client has heard of it
				got, err := c.Client().Get(ctx, "k").Result()
				if err == nil && got == "v" {
					break
				}
				if err == nil || err == redis.Nil || ctx.Err() != nil {
					t.Fatalf("after the fail-over: %q, %v", got, err)
				}
			}
		})
	}
}
