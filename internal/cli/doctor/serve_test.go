package doctor

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Workers of a version without tenants pass over their tasks, and have slots to spare.
func TestTenants(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := results.NewStore(rdb)
		defer store.Close()
		chat := tasks.Ask("7", "why?")
		chat.Tenant = "shop"
		id, err := tasks.NewClient(store).Enqueue(t.Context(), chat, tasks.Options{})
		if err != nil {
			t.Fatal(err)
		}
		seen := well("queue[default]", "1 pending")
		idle := service{processes: 1, idle: 3}
		like(t, tenants(t.Context(), rdb, seen, "default", idle), "queue[default]", ok, "^1 pending ")
		since := time.Now().Add(-time.Hour).UnixNano()
		if err := rdb.HSet(t.Context(), "asynq:{default}:t:"+id, "pending_since", since).Err(); err != nil {
			t.Fatal(err)
		}
		like(t, tenants(t.Context(), rdb, seen, "default", idle), "queue[default]", fail, "API key shop wait since .*, and workers have free slots .* update the workers")
		like(t, tenants(t.Context(), rdb, seen, "default", service{processes: 1}), "queue[default]", ok, "^1 pending ")
	})
}
