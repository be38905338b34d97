package redischeck

import "fmt"

// Eviction is the name of the finding about a policy that drops keys.
const Eviction = "eviction"

// eviction: with any policy but noeviction a full Redis drops keys. Keys with a TTL include the leases of active tasks and the
// results. The policy is wrong even without a maxmemory, as it takes effect once somebody sets one.
func (s state) eviction() Finding {
	f := Finding{Name: Eviction, Status: OK}
	policy, ok := s.value("maxmemory_policy", "maxmemory-policy")
	if !ok {
		return untold(f.Name, "what it drops when it is full is")
	}
	f.Detail = "maxmemory-policy " + policy
	if policy != "noeviction" {
		f.Status = Fail
		f.Detail += ": when it is full it drops questions, answers and the leases of tasks at work"
		f.Fix = "redis-cli CONFIG SET maxmemory-policy noeviction" + lasting
	}
	return f
}

// lasting follows a CONFIG SET.
const lasting = ", and in redis.conf, or among the parameters of a managed Redis"

// How full it may be, in percent of maxmemory. A full Redis refuses writes: nothing is lost, but no task makes progress.
const (
	filling = 75
	full    = 95
)

func (s state) memory() Finding {
	f := Finding{Name: "memory", Status: OK}
	used, ok := s.number("used_memory", "")
	if !ok {
		return untold(f.Name, "how full it is is")
	}
	most, ok := s.number("maxmemory", "maxmemory")
	switch {
	case !ok:
		f.Detail = size(used) + " used, maxmemory is not known"
		return f
	case most == 0:
		f.Detail = size(used) + " used, no maxmemory"
		if host, ok := s.number("total_system_memory", ""); ok && host > 0 {
			return f.fullness(used, host, " of its machine's ", "give the machine more memory, or Redis a maxmemory before the system kills it")
		}
		return f
	}
	// What Redis does not count itself: buffers of replicas and of the append-only file.
	apart, _ := s.number("mem_not_counted_for_evict", "")
	return f.fullness(max(0, used-apart), most, " of maxmemory ", "redis-cli CONFIG SET maxmemory BYTES with more of them"+lasting+
		"; or keep results for a shorter time (--keep)")
}

func (f Finding) fullness(used, most int64, of, fix string) Finding {
	percent := used * 100 / most
	f.Detail = fmt.Sprintf("%s used%s%s: %d %%", size(used), of, size(most), percent)
	switch {
	case percent >= full:
		f.Status, f.Fix = Fail, fix
	case percent >= filling:
		f.Status, f.Fix = Warn, fix
	}
	return f
}

func size(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 40, "TB"}, {1 << 30, "GB"}, {1 << 20, "MB"}, {1 << 10, "kB"}} {
		if n >= unit.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.bytes), unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
