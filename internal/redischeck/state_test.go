package redischeck

import "testing"

// What no server of the tests is: old, of another kind, or in trouble with its disk.
func TestState(t *testing.T) {
	for name, tt := range map[string]struct {
		info, config map[string]string
		look         func(state) Finding
		status       Status
		detail       string
	}{
		"old":              {map[string]string{"redis_version": "6.0.16"}, nil, state.version, Fail, "Redis 6.0.16"},
		"oldest":           {map[string]string{"redis_version": "6.2.0"}, nil, state.version, OK, "Redis 6.2.0"},
		"two digits":       {map[string]string{"redis_version": "10.0.1"}, nil, state.version, OK, "Redis 10.0.1"},
		"valkey":           {map[string]string{"redis_version": "7.2.4", "valkey_version": "8.1.3"}, nil, state.version, OK, "Valkey 8.1.3, as Redis 7.2.4"},
		"dragonfly":        {map[string]string{"redis_version": "7.4.0", "dragonfly_version": "df-v1.30.0"}, nil, state.version, OK, "Dragonfly df-v1.30.0, as Redis 7.4.0"},
		"no number":        {map[string]string{"redis_version": "unstable"}, nil, state.version, Skip, "Redis unstable: not a version that can be compared"},
		"policy by CONFIG": {nil, map[string]string{"maxmemory-policy": "noeviction"}, state.eviction, OK, "maxmemory-policy noeviction"},
		"no policy":        {map[string]string{}, nil, state.eviction, Skip, "what it drops when it is full is not known: this user may not ask for it (INFO, CONFIG GET)"},
		"filling":          {map[string]string{"used_memory": "800", "maxmemory": "1000"}, nil, state.memory, Warn, "800 B used of maxmemory 1000 B: 80 %"},
		"buffers apart":    {map[string]string{"used_memory": "980", "mem_not_counted_for_evict": "500", "maxmemory": "1000"}, nil, state.memory, OK, "480 B used of maxmemory 1000 B: 48 %"},
		"machine full":     {map[string]string{"used_memory": "990", "maxmemory": "0", "total_system_memory": "1000"}, nil, state.memory, Fail, "990 B used of its machine's 1000 B: 99 %"},
		"no bound":         {map[string]string{"used_memory": "1536", "maxmemory": "0"}, nil, state.memory, OK, "1.5 kB used, no maxmemory"},
		"bound not told":   {map[string]string{"used_memory": "3145728"}, nil, state.memory, OK, "3.0 MB used, maxmemory is not known"},
		"disk full":        {map[string]string{"aof_enabled": "1", "aof_last_write_status": "err"}, nil, state.persistence, Fail, "it cannot write its append-only file, and refuses all writes"},
		"fsync not told":   {map[string]string{"aof_enabled": "1"}, nil, state.persistence, OK, "append-only file"},
		"save not told":    {map[string]string{"aof_enabled": "0"}, nil, state.persistence, Warn, "no append-only file: a restart of Redis loses what came since its last snapshot, or all"},
		"by CONFIG alone":  {nil, map[string]string{"appendonly": "yes", "appendfsync": "always"}, state.persistence, OK, "append-only file, synced at each write"},
	} {
		t.Run(name, func(t *testing.T) {
			f := tt.look(state{info: tt.info, config: tt.config})
			if f.Status != tt.status || f.Detail != tt.detail {
				t.Errorf("%s %q, want %s %q", f.Status, f.Detail, tt.status, tt.detail)
			}
			if (f.Fix != "") != f.Status.Worse(Skip) {
				t.Errorf("%s with the fix %q", f.Status, f.Fix)
			}
		})
	}
}

func TestMerged(t *testing.T) {
	of := func(addr string, s Status, detail string) node {
		return node{addr, []Finding{{Name: "x", Status: s, Detail: detail}}}
	}
	for name, tt := range map[string]struct {
		nodes []node
		want  []Finding
	}{
		"one":        {[]node{of("a", Warn, "d")}, []Finding{{Name: "x", Status: Warn, Detail: "d"}}},
		"the same":   {[]node{of("a", OK, "d"), of("b", OK, "d")}, []Finding{{Name: "x", Status: OK, Detail: "d"}}},
		"all well":   {[]node{of("a", OK, "d"), of("b", OK, "e"), of("c", OK, "d")}, []Finding{{Name: "x", Status: OK, Detail: "a, c: d; b: e"}}},
		"the worst":  {[]node{of("a", OK, "d"), of("b", Fail, "e"), of("c", Warn, "f")}, []Finding{{Name: "x", Status: Fail, Detail: "b: e"}}},
		"two faults": {[]node{of("a", Fail, "d"), of("b", Fail, "e")}, []Finding{{Name: "x", Status: Fail, Detail: "a: d"}, {Name: "x", Status: Fail, Detail: "b: e"}}},
	} {
		got := merged(tt.nodes)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: %+v, want %+v", name, got[i], tt.want[i])
			}
		}
	}
}
