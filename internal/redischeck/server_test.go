package redischeck_test

import (
	"context"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redischeck"
	"github.com/cozeq/cozeq/internal/redistest"
)

// names are those of all findings, in their order.
var names = []string{"role", "version", "eviction", "memory", "persistence", "writes"}

// looked is what Server finds, with each name once.
func looked(t *testing.T, rdb redis.UniversalClient) map[string]redischeck.Finding {
	t.Helper()
	all, err := redischeck.Server(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]redischeck.Finding{}
	var order []string
	for _, f := range all {
		found[f.Name], order = f, append(order, f.Name)
	}
	if !slices.Equal(order, names) {
		t.Errorf("findings %q, want %q", order, names)
	}
	return found
}

// like says how a finding differs from a status and a pattern of its detail and fix.
func like(t *testing.T, f redischeck.Finding, status redischeck.Status, pattern string) {
	t.Helper()
	if text := f.Detail + " | " + f.Fix; f.Status != status || !regexp.MustCompile(pattern).MatchString(text) {
		t.Errorf("%s: %s %q, want %s %q", f.Name, f.Status, text, status, pattern)
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	const (
		ok, warn, fail = redischeck.OK, redischeck.Warn, redischeck.Fail
		set            = `\| redis-cli CONFIG SET `
	)
	type want struct {
		name    string
		status  redischeck.Status
		pattern string
	}
	for name, tt := range map[string]struct {
		options []redistest.Option
		want    []want
	}{
		"well": {[]redistest.Option{redistest.AppendOnly("everysec"), redistest.Config("maxmemory", "1gb")}, []want{
			{"role", ok, `^master, replicas: 0 \| $`},
			{"version", ok, `^(Redis|Valkey) \d+\.\d+`},
			{"eviction", ok, `^maxmemory-policy noeviction \| $`},
			{"memory", ok, `^[\d.]+ .B used of maxmemory 1\.0 GB: 0 % \| $`},
			{"persistence", ok, `^append-only file, synced each second \| $`},
			{"writes", ok, `^a script may write \| $`},
		}},
		"always": {[]redistest.Option{redistest.AppendOnly("always")}, []want{
			{"persistence", ok, `synced at each write`},
			{"memory", ok, `used of its machine's .*%`},
		}},
		"seldom":       {[]redistest.Option{redistest.AppendOnly("no")}, []want{{"persistence", warn, `appendfsync no.*` + set + `appendfsync everysec`}}},
		"evicting":     {[]redistest.Option{redistest.Config("maxmemory-policy", "volatile-lru")}, []want{{"eviction", fail, `volatile-lru: .*` + set + `maxmemory-policy noeviction`}}},
		"nothing kept": {nil, []want{{"persistence", warn, `^nothing is kept.*` + set + `appendonly yes`}}},
		"snapshots": {[]redistest.Option{redistest.Config("save", "3600 1")}, []want{
			{"persistence", warn, `^snapshots alone \(save 3600 1\).*` + set + `appendonly yes`},
		}},
		"full": {[]redistest.Option{redistest.Config("maxmemory", "500kb")}, []want{
			{"memory", fail, `of maxmemory 500\.0 kB: \d{3} %.*` + set + `maxmemory`},
			{"writes", fail, `^a script cannot write: .*OOM.*\| .*memory`},
		}},
		"a node": {[]redistest.Option{redistest.Config("cluster-enabled", "yes")}, []want{
			{"role", fail, `one node of a cluster.*\| .*redis-cluster://`},
			{"writes", fail, `cluster`},
		}},
		"too few replicas": {[]redistest.Option{redistest.Config("min-replicas-to-write", "1")}, []want{
			{"writes", fail, `NOREPLICAS.*\| .*min-replicas-to-write 0`},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := looked(t, redistest.Start(t, tt.options...).Client())
			for _, w := range tt.want {
				like(t, found[w.name], w.status, w.pattern)
			}
		})
	}
}

func TestReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	o := master.Client().(*redis.Client).Options()
	replica := redistest.Start(t, redistest.Config("slaveof", "127.0.0.1", o.Addr[len("127.0.0.1:"):]))
	found := looked(t, replica.Client())
	like(t, found["role"], redischeck.Fail, `^it is a replica of `+regexp.QuoteMeta(o.Addr)+` .*\| .*redis-sentinel://`)
	like(t, found["writes"], redischeck.Fail, `READONLY.*\| .*master`)
}

// What a user may not ask for is not known, and no fault; what it must be able to do is one.
func TestUserWithoutRights(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for user, rules := range map[string][]string{"narrow": {"~cozeq:*", "+eval", "+set"}, "reader": {"~*", "+@read"}, "caller": {"~*", "+@read", "+eval"}} {
		rules = append(rules, "on", ">secret", "+ping", "+hello", "+client")
		if err := s.Client().ACLSetUser(t.Context(), user, rules...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	as := func(user string) map[string]redischeck.Finding {
		o := *s.Client().(*redis.Client).Options()
		o.Username, o.Password = user, "secret"
		rdb := redis.NewClient(&o)
		defer rdb.Close()
		return looked(t, rdb)
	}
	found := as("narrow")
	for _, name := range names[:5] {
		like(t, found[name], redischeck.Skip, `not known: this user may not ask for it \(INFO, CONFIG GET\) \| $`)
	}
	like(t, found["writes"], redischeck.OK, "a script may write")
	like(t, as("reader")["writes"], redischeck.Fail, `NOPERM.*\| .*ACL SETUSER`)
	like(t, as("caller")["writes"], redischeck.Fail, `(can't run this command|no permissions to run the 'set' command).*\| .*ACL SETUSER`)

	o := *s.Client().(*redis.Client).Options()
	o.Username, o.Password = "narrow", "wrong"
	rdb := redis.NewClient(&o)
	defer rdb.Close()
	if _, err := redischeck.Server(t.Context(), rdb); !redis.IsAuthError(err) {
		t.Errorf("with a wrong password: %v, want an error of authentication", err)
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Kill()
	if all, err := redischeck.Server(t.Context(), s.Client()); err == nil {
		t.Errorf("of no server: %v", all)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := redischeck.Server(ctx, s.Client()); err == nil {
		t.Error("with a context that is over: no error")
	}
}

func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes some seconds to start")
	}
	t.Parallel()
	c := redistest.StartCluster(t, redistest.AppendOnly("everysec"))
	found := looked(t, c.Client())
	for _, name := range names {
		if f := found[name]; f.Status != redischeck.OK || f.Fix != "" {
			t.Errorf("%s: %+v, want all well", name, f)
		}
	}
	like(t, found["eviction"], redischeck.OK, `^maxmemory-policy noeviction`)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	odd := c.Servers()[1]
	if err := odd.Client().ConfigSet(ctx, "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		t.Fatal(err)
	}
	found = looked(t, c.Client())
	like(t, found["eviction"], redischeck.Fail, `^`+regexp.QuoteMeta(odd.Addr())+`: maxmemory-policy allkeys-lru`)
	like(t, found["version"], redischeck.OK, `^(Redis|Valkey) `)
}

func TestOfConcern(t *testing.T) {
	all := []redischeck.Finding{
		{Name: "a", Status: redischeck.OK}, {Name: "b", Status: redischeck.Warn},
		{Name: "c", Status: redischeck.Skip}, {Name: "d", Status: redischeck.Fail}, {Name: "e", Status: redischeck.Warn},
	}
	var got string
	for _, f := range redischeck.OfConcern(all) {
		got += f.Name
	}
	if got != "dbe" {
		t.Errorf("of concern are %q, want dbe", got)
	}
}
