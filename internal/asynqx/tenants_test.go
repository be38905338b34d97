package asynqx

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redistest"
)

// shop is a queue with tenants, from which tasks are taken one by one, as asynq's servers do through the Poller.
type shop struct {
	*testing.T
	rdb       redis.UniversalClient
	poller    *Poller
	client    *pollingClient
	bulk      *Bulk
	inspector *asynq.Inspector
}

const shopQueue = "shop"

func eachShop(t *testing.T, f func(s *shop)) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) { f(newShop(t, rdb)) })
}

func newShop(t *testing.T, rdb redis.UniversalClient) *shop {
	poller := NewPoller(rdb, []string{"another"}, func() bool { return false })
	s := &shop{T: t, rdb: rdb, poller: poller, client: &pollingClient{UniversalClient: rdb, poller: poller}, bulk: NewBulk(rdb), inspector: NewInspector(rdb)}
	server := asynq.NewServerFromRedisClient(poller.Client(), asynq.Config{
		Concurrency: 1, Queues: map[string]int{"another": 1}, DelayedTaskCheckInterval: time.Millisecond, LogLevel: asynq.FatalLevel,
	})
	// The Poller learns asynq's scripts from a server of another queue.
	if err := server.Start(asynq.NotFoundHandler()); err != nil {
		t.Fatal(err)
	}
	for poller.take.script.Load() == nil || poller.forward.script.Load() == nil {
		time.Sleep(time.Millisecond)
	}
	poller.Close()
	server.Shutdown()
	return s
}

func (s *shop) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// enqueue puts tasks of a tenant into the queue. Their ids begin with its name.
func (s *shop) enqueue(tenant string, ids ...string) { s.enqueueWith(tenant, nil, ids...) }

func (s *shop) enqueueWith(tenant string, options []asynq.Option, ids ...string) {
	s.Helper()
	for chunk := range slices.Chunk(ids, 100) {
		var all []*Submission
		for _, id := range chunk {
			all = append(all, &Submission{Tenant: tenant, Task: asynq.NewTask("type", nil), Options: append([]asynq.Option{asynq.TaskID(id), asynq.Queue(shopQueue)}, options...)})
		}
		s.bulk.Submit(s.Context(), all)
		for _, submission := range all {
			s.must(submission.Err)
		}
	}
}

func names(tenant string, n int) []string {
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprint(tenant, "-", i))
	}
	return ids
}

// take is the id of the next task, "" for none.
func (s *shop) take() string {
	s.Helper()
	keys := []string{Key(shopQueue, "pending"), Key(shopQueue, "paused"), Key(shopQueue, "active"), Key(shopQueue, "lease")}
	raw, err := s.client.run(s.Context(), s.poller.take.script.Load(), keys, []any{time.Now().Add(time.Minute).Unix(), Key(shopQueue, "t:")}).Text()
	if errors.Is(err, redis.Nil) {
		return ""
	}
	s.must(err)
	id, _, _ := Message(raw)
	if info, err := s.inspector.GetTaskInfo(shopQueue, id); err != nil || info.State != asynq.TaskStateActive {
		s.Errorf("%s was taken: %+v, %v", id, info, err)
	}
	return id
}

func (s *shop) takes(want ...string) {
	s.Helper()
	for _, id := range want {
		if got := s.take(); got != id {
			s.Fatalf("took %q, want %q", got, id)
		}
	}
}

// empty wants nothing left of the tenants.
func (s *shop) empty() {
	s.Helper()
	s.takes("", "")
	if keys := redistest.Keys(s.T, s.rdb, "cozeq:queue:*"); len(keys) > 0 {
		s.Errorf("left: %q", keys)
	}
	if n := s.rdb.ZCard(s.Context(), Key(shopQueue, "scheduled")).Val(); n > 0 {
		s.Errorf("%d are scheduled", n)
	}
}

// putBack lets an active task wait again, as asynq does: until then, or in the retry set.
func (s *shop) putBack(id string, until time.Time) {
	s.Helper()
	s.must(s.rdb.LRem(s.Context(), Key(shopQueue, "active"), 0, id).Err())
	s.must(s.rdb.ZRem(s.Context(), Key(shopQueue, "lease"), id).Err())
	s.must(s.rdb.ZAdd(s.Context(), Key(shopQueue, "retry"), redis.Z{Score: float64(until.Unix()), Member: id}).Err())
	s.must(s.rdb.HSet(s.Context(), Key(shopQueue, "t:"+id), "state", "retry").Err())
}

// forward moves what has fallen due, as asynq's forwarder does.
func (s *shop) forward() {
	s.Helper()
	for _, set := range []string{"scheduled", "retry"} {
		keys := []string{Key(shopQueue, set), Key(shopQueue, "pending")}
		args := []any{time.Now().Unix(), Key(shopQueue, "t:"), time.Now().UnixNano(), Key(shopQueue, "g:")}
		for n := 1; n > 0; {
			var err error
			n, err = s.poller.forward.run(s.Context(), s.rdb, "", ringKeys(keys, shopQueue), args).Int()
			s.must(err)
		}
	}
}

// A single question comes next but for one of each other tenant, however many these have. Those without a tenant are one.
func TestTurns(t *testing.T) {
	eachShop(t, func(s *shop) {
		s.enqueue("", names("", 300)...)
		s.enqueue("big", names("big", 1000)...)
		s.takes("-0", "big-0", "-1", "big-1")
		s.enqueue("small", "small-0")
		s.takes("-2", "big-2", "small-0", "-3", "big-3", "-4")
		s.enqueue("small", "small-1", "small-2")
		s.takes("big-4", "-5", "small-1", "big-5", "-6", "small-2", "big-6")
		if info, err := QueueInfo(s.Context(), s.rdb, shopQueue); err != nil || info.Pending != 300-7+1000-7 || info.Scheduled != 0 || info.Latency <= 0 {
			s.Errorf("%+v, %v", info, err)
		}
		tenants, err := Tenants(s.Context(), s.rdb, shopQueue)
		if s.must(err); len(tenants) != 1 || tenants[0].Tenant != "big" || tenants[0].Tasks != 993 || tenants[0].Oldest <= 0 {
			s.Errorf("%+v", tenants)
		}
		for range 293 + 993 {
			s.take()
		}
		s.empty()
	})
}

// Without tenants the queue is asynq's: first in, first out, and no key of ours.
func TestNoTenants(t *testing.T) {
	eachShop(t, func(s *shop) {
		s.enqueue("", "a", "b", "c")
		if keys := redistest.Keys(s.T, s.rdb, "cozeq:*"); len(keys) > 0 {
			s.Errorf("%q", keys)
		}
		s.takes("a", "b", "c")
		s.empty()
	})
}

// Whatever an operator or asynq does to a task that waits, no other is held up by it.
func TestDeletedAndRun(t *testing.T) {
	eachShop(t, func(s *shop) {
		s.enqueue("big", names("big", 6)...)
		s.enqueue("small", "small-0")
		s.must(s.inspector.DeleteTask(shopQueue, "big-0"))
		s.must(s.inspector.ArchiveTask(shopQueue, "big-1"))
		plain := asynq.NewInspectorFromRedisClient(s.rdb)
		s.must(plain.RunTask(shopQueue, "big-5")) // asynqmon's: at once, as one without a tenant
		s.must(s.inspector.RunTask(shopQueue, "big-4"))
		s.must(s.rdb.Del(s.Context(), Key(shopQueue, "t:small-0")).Err()) // poison
		s.takes("big-5", "big-2")
		s.takes("") // small-0: asynq takes it, and finds nothing
		s.must(s.inspector.RunTask(shopQueue, "big-1"))
		s.takes("big-3", "big-4", "big-1")
		s.must(s.rdb.LRem(s.Context(), Key(shopQueue, "active"), 0, "small-0").Err())
		s.empty()

		// Many deleted ones: one call passes over a thousand.
		ids := names("gone", 2500)
		s.enqueue("gone", ids...)
		s.enqueue("gone", "last")
		s.enqueue("other", names("other", 4)...)
		pipe := s.rdb.Pipeline()
		for _, id := range ids {
			pipe.ZRem(s.Context(), Key(shopQueue, "scheduled"), id)
			pipe.Del(s.Context(), Key(shopQueue, "t:"+id))
		}
		_, err := pipe.Exec(s.Context())
		s.must(err)
		s.takes("", "", "last", "other-0", "other-1", "other-2", "other-3")
		s.empty()
	})
}

// What waits for a moment, or is asked again, gets into its tenant's list as well.
func TestDue(t *testing.T) {
	eachShop(t, func(s *shop) {
		past := []asynq.Option{asynq.ProcessAt(time.Now().Add(time.Hour))}
		s.enqueueWith("big", past, names("big", 250)...)
		s.enqueueWith("", past, names("", 150)...)
		s.enqueueWith("small", past, "small-0")
		s.forward()
		s.takes("")
		all := s.rdb.ZRange(s.Context(), Key(shopQueue, "scheduled"), 0, -1).Val()
		pipe := s.rdb.Pipeline()
		for i, id := range all {
			pipe.ZAdd(s.Context(), Key(shopQueue, "scheduled"), redis.Z{Score: float64(1000 + i), Member: id})
		}
		_, err := pipe.Exec(s.Context())
		s.must(err)
		s.forward()
		if n := s.rdb.LLen(s.Context(), Key(shopQueue, "pending")).Val(); n != 150 {
			s.Errorf("%d are pending, want those without a tenant", n)
		}
		var first []string
		for range 3 {
			first = append(first, s.take())
		}
		if !slices.Contains(first, "small-0") {
			s.Errorf("first came %q", first)
		}

		s.putBack("small-0", time.Now().Add(-time.Second))
		s.forward()
		first = []string{s.take(), s.take(), s.take()}
		if !slices.Contains(first, "small-0") {
			s.Errorf("then came %q", first)
		}
		s.putBack("small-0", time.Now().Add(time.Hour))
		s.must(s.inspector.RunTask(shopQueue, "small-0"))
		s.must(s.inspector.RunTask(shopQueue, "small-0")) // it is run already
		first = []string{s.take(), s.take(), s.take()}
		if !slices.Contains(first, "small-0") {
			s.Errorf("at last came %q", first)
		}
		for s.take() != "" {
		}
		s.empty()
	})
}

// A pause holds tenants' tasks, and a probe lets one of them out.
func TestTenantsPaused(t *testing.T) {
	eachShop(t, func(s *shop) {
		s.poller.Serves([]string{"c1"})
		poller := NewPoller(s.rdb, []string{shopQueue}, func() bool { return false })
		poller.Serves([]string{"c1"})
		work := func(want bool) {
			s.Helper()
			if got, err := poller.peek(s.Context()); err != nil || got != want {
				s.Errorf("there is work: %v, %v", got, err)
			}
		}
		work(false)
		s.enqueue("big", names("big", 3)...)
		work(true)
		pauses := QueuePauses{Redis: s.rdb}
		_, err := pauses.Pause(s.Context(), shopQueue, "c1")
		s.must(err)
		work(false)
		s.takes("")
		s.must(pauses.Probe(s.Context(), []string{shopQueue}, "c1"))
		work(true)
		s.takes("big-0", "")
		s.must(pauses.Resume(s.Context(), shopQueue, "c1"))
		s.must(s.inspector.PauseQueue(shopQueue))
		s.takes("")
		s.must(s.inspector.UnpauseQueue(shopQueue))
		s.takes("big-1", "big-2")
		s.empty()
	})
}

// An id that asynq has already stays what it was, whoever comes with it.
func TestTenantConflict(t *testing.T) {
	eachShop(t, func(s *shop) {
		s.enqueue("", "a")
		s.enqueue("big", "b")
		for _, id := range []string{"a", "b"} {
			submission := &Submission{Tenant: "small", Task: asynq.NewTask("type", nil), Options: []asynq.Option{asynq.TaskID(id), asynq.Queue(shopQueue)}}
			if s.bulk.Submit(s.Context(), []*Submission{submission}); !errors.Is(submission.Err, asynq.ErrTaskIDConflict) {
				s.Errorf("%s: %v", id, submission.Err)
			}
		}
		s.takes("a", "b")
		s.empty()
	})
}

// Redis has lost lists, or the ring: what waits is put back.
func TestRefile(t *testing.T) {
	eachShop(t, func(s *shop) {
		refile := func(want int) {
			s.Helper()
			if n, err := Refile(s.Context(), s.rdb, shopQueue); err != nil || n != want {
				s.Errorf("%d were put back, %v; want %d", n, err, want)
			}
		}
		refile(0)
		s.enqueue("big", names("big", 600)...)
		s.enqueue("small", "small-0", "small-1")
		refile(0)
		s.must(s.rdb.Del(s.Context(), rediskey.QueueTenants(shopQueue)+":big").Err())
		s.takes("small-0", "small-1", "")
		refile(600)
		refile(0)
		s.must(s.rdb.Del(s.Context(), rediskey.QueueTenants(shopQueue)).Err())
		s.takes("")
		refile(600) // they are in the list twice
		s.enqueue("small", "small-2")
		seen := make(map[string]bool)
		for id := s.take(); id != ""; id = s.take() {
			if seen[id] {
				s.Fatalf("%s came twice", id)
			}
			seen[id] = true
		}
		if len(seen) != 601 {
			s.Errorf("%d came", len(seen))
		}
		s.empty()
	})
}

// TestFairness plays a service with a virtual clock: slots that are busy for the time of a chat, a tenant with 20,000
// questions, others with single ones. A single one waits for a slot no longer than one chat takes. First in, first out
// would have it wait for all of the 20,000.
func TestFairness(t *testing.T) {
	eachShop(t, func(s *shop) {
		const slots, others, rounds, longest = 8, 6, 40, 30.0
		rng := rand.New(rand.NewPCG(1, 2))
		s.enqueue("big", names("big", 20_000)...)
		busy := make([]float64, slots) // until when
		arrived := make(map[string]float64)
		worst, n := 0.0, 0
		for rounds*others > n || len(arrived) > 0 {
			slot := 0
			for i := range busy {
				if busy[i] < busy[slot] {
					slot = i
				}
			}
			now := busy[slot]
			if n < rounds*others && rng.IntN(slots) == 0 { // not all at the same moment
				tenant := fmt.Sprint("small", n%others)
				if n%others == others-1 {
					tenant = ""
				}
				id := fmt.Sprint(tenant, ":", n)
				s.enqueue(tenant, id)
				arrived[id] = now
				n++
			}
			id := s.take()
			if id == "" {
				s.Fatal("nothing came")
			}
			if at, single := arrived[id]; single {
				worst = max(worst, now-at)
				delete(arrived, id)
			}
			busy[slot] = now + 1 + rng.Float64()*(longest-1)
		}
		s.Logf("a single question waited %.1f s at the most, a chat takes up to %.0f s", worst, longest)
		if worst > longest {
			s.Errorf("a single question waited for more than one chat")
		}
	})
}

// Any order of enqueueing, taking, asking again, deleting: nothing is lost, nothing comes twice, each tenant's come in
// order, and the first of a tenant waits for one task of each other tenant at the most.
func TestAnyOrder(t *testing.T) {
	eachShop(t, func(s *shop) {
		for seed := range uint64(20) {
			rng := rand.New(rand.NewPCG(seed, 7))
			tenants := []string{"", "a", "b", "c"}
			waiting := make(map[string][]string)
			since := make(map[string]map[string]int) // by tenant: what the others got since its first one waits
			var active []string
			first := func(tenant string) {
				if len(waiting[tenant]) > 0 {
					since[tenant] = make(map[string]int)
				}
			}
			add := func(tenant, id string) {
				if waiting[tenant] = append(waiting[tenant], id); len(waiting[tenant]) == 1 {
					first(tenant)
				}
			}
			n := 0
			for range 150 {
				tenant := tenants[rng.IntN(len(tenants))]
				switch rng.IntN(7) {
				case 0, 1:
					for range 1 + rng.IntN(8) {
						id := fmt.Sprintf("%s-%d.%d", tenant, seed, n)
						s.enqueue(tenant, id)
						add(tenant, id)
						n++
					}
				case 2:
					if all := waiting[tenant]; len(all) > 0 && tenant != "" {
						i := rng.IntN(len(all))
						s.must(s.inspector.DeleteTask(shopQueue, all[i]))
						if waiting[tenant] = slices.Delete(all, i, i+1); i == 0 {
							first(tenant)
						}
					}
				case 3:
					if len(active) > 0 {
						id := active[0]
						active = active[1:]
						s.putBack(id, time.Now().Add(-time.Second))
						s.forward()
						of, _, _ := strings.Cut(id, "-")
						add(of, id)
					}
				default:
					id := s.take()
					of, _, _ := strings.Cut(id, "-")
					if len(waiting[of]) == 0 && id != "" || id != "" && waiting[of][0] != id {
						s.Fatalf("seed %d: took %q of %q", seed, id, waiting[of])
					}
					if id == "" {
						for tenant, all := range waiting {
							if len(all) > 0 {
								s.Fatalf("seed %d: took nothing, and %q has %q", seed, tenant, all)
							}
						}
						continue
					}
					waiting[of] = waiting[of][1:]
					first(of)
					active = append(active, id)
					for _, other := range tenants {
						if other != of && len(waiting[other]) > 0 {
							if since[other][of]++; since[other][of] > 1 {
								s.Errorf("seed %d: %q got two before the first of %q", seed, of, other)
							}
						}
					}
				}
			}
			for id := s.take(); id != ""; id = s.take() {
				of, _, _ := strings.Cut(id, "-")
				waiting[of] = slices.DeleteFunc(waiting[of], func(other string) bool { return other == id })
			}
			for tenant, all := range waiting {
				if len(all) > 0 {
					s.Errorf("seed %d: %q of %q never came", seed, all, tenant)
				}
			}
		}
		s.empty()
	})
}
