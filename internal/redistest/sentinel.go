package redistest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
)

// masterName is what the sentinels call the group that they watch.
const masterName = "cozeq"

// sentinels watch a group: three, as people run them, so that two outvote one.
const sentinels = 3

// Sentinel is a master with a replica, and three sentinels that put the replica in the master's place when that one is
// gone for a second. In all a fail-over takes 2 to 4 s. A replica that lost its master more than ten such times before the
// sentinels noticed it is never chosen: with half a second that happened where they were short of CPU.
type Sentinel struct {
	t       testing.TB
	servers []*Server
	watch   []*Server
	client  *redis.Client
}

// StartSentinel starts a master, its replica and their sentinels for the time of the test, and waits until the
// replica has all data and the sentinels know each other. Options are those of master and replica.
func StartSentinel(t testing.TB, opts ...Option) *Sentinel {
	t.Helper()
	s := &Sentinel{t: t}
	master := start(t, opts...)
	replica := start(t, append(opts[:len(opts):len(opts)], Config("replicaof", "127.0.0.1", fmt.Sprint(master.port)))...)
	s.servers = []*Server{master, replica}
	awaitReplicas(t, master, 1)
	for range sentinels {
		w := startWatch(t, master, opts...)
		// A sentinel that stood still for 2 s does nothing for 30 s ("tilt"): on a machine that is short of CPU that took a
		// fail-over more than a minute. Redis before 7 cannot change it.
		_ = w.client.Process(t.Context(), redis.NewStatusCmd(t.Context(), "SENTINEL", "DEBUG", "tilt-period", 1000))
		s.watch = append(s.watch, w)
	}
	await(s.t, "the sentinels know each other", func(ctx context.Context) bool {
		for _, w := range s.watch {
			group := redis.NewMapStringStringCmd(ctx, "SENTINEL", "MASTER", masterName)
			_ = w.client.Process(ctx, group) // no answer is no group
			v := group.Val()
			if v["num-other-sentinels"] != fmt.Sprint(sentinels-1) || v["num-slaves"] != "1" || v["flags"] != "master" {
				return false
			}
		}
		return true
	})
	own := master.options("")
	o := &redis.FailoverOptions{
		MasterName: masterName, ContextTimeoutEnabled: true,
		TLSConfig: own.TLSConfig, Username: own.Username, Password: own.Password,
	}
	for _, w := range s.watch {
		o.SentinelAddrs = append(o.SentinelAddrs, w.Addr())
	}
	s.client = redis.NewFailoverClient(o)
	t.Cleanup(func() { s.client.Close() })
	return s
}

func startWatch(t testing.TB, master *Server, opts ...Option) *Server {
	t.Helper()
	var of config
	for _, opt := range opts {
		opt(&of)
	}
	w := prepare(t, func(c *config) {
		c.binary, c.tls = of.binary, of.tls
		c.extra = []string{"--sentinel"}
	})
	w.config.file = filepath.Join(w.dir, "sentinel.conf")
	host, port, err := net.SplitHostPort(master.Addr())
	if err != nil {
		t.Fatal(err)
	}
	conf := []string{
		fmt.Sprintf("sentinel monitor %s %s %s %d", masterName, host, port, sentinels/2+1),
		"sentinel down-after-milliseconds " + masterName + " 1000",
		"sentinel failover-timeout " + masterName + " 3000",
	}
	if of.acl {
		conf = append(conf, "sentinel auth-user "+masterName+" "+aclAdmin, "sentinel auth-pass "+masterName+" "+aclPassword)
	}
	if err := os.WriteFile(w.config.file, []byte(strings.Join(conf, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start()
	// Their usual pace, of one word in 2 s and one look in 10 s, is for networks. Servers older than 7.0 keep it.
	w.client.Do(t.Context(), "SENTINEL", "DEBUG", "info-period", 200, "publish-period", 200, "ping-period", 100,
		"ask-period", 200, "election-timeout", 2000, "min-link-reconnect-period", 500)
	return w
}

func (s *Sentinel) URL() string { return s.url("") }

func (s *Sentinel) url(who string) string {
	addrs := make([]string, len(s.watch))
	for i, w := range s.watch {
		addrs[i] = w.Addr()
	}
	q := url.Values{"master": {masterName}}
	if s.servers[0].config.tls != nil {
		q.Set("tls", "true")
		q.Set("ca", s.servers[0].CAFile())
	}
	return "redis-sentinel://" + who + strings.Join(addrs, ",") + "/0?" + q.Encode()
}

// Client returns a client that follows the master, the same at each call. It is closed with the test.
func (s *Sentinel) Client() redis.UniversalClient { return s.client }

// Master is the server that the sentinels hold for the master now.
func (s *Sentinel) Master() *Server {
	s.t.Helper()
	for _, w := range s.watch {
		addr := redis.NewStringSliceCmd(s.t.Context(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName)
		if err := w.client.Process(s.t.Context(), addr); err != nil || len(addr.Val()) != 2 {
			continue
		}
		for _, server := range s.servers {
			if server.Addr() == net.JoinHostPort(addr.Val()[0], addr.Val()[1]) {
				return server
			}
		}
	}
	s.t.Fatal("no sentinel knows a master")
	return nil
}

func (s *Sentinel) Replica() *Server {
	s.t.Helper()
	if s.Master() == s.servers[0] {
		return s.servers[1]
	}
	return s.servers[0]
}

// AwaitFailover waits until another server than old is the master and takes writes.
func (s *Sentinel) AwaitFailover(old *Server) {
	s.t.Helper()
	await(s.t, "there is a new master", func(ctx context.Context) bool {
		master := s.Master()
		if master == old || !master.answering() {
			return false
		}
		info, err := master.client.InfoMap(ctx, "replication").Result()
		return err == nil && info["Replication"]["role"] == "master"
	})
}

// awaitReplicas waits until n replicas have all of a master's data and confirm what is new. Before its first
// confirmation a replica is listed as online, and is sent nothing.
func awaitReplicas(t testing.TB, master *Server, n int) {
	t.Helper()
	await(t, "the replicas confirm a write", func(ctx context.Context) bool {
		var confirmed *redis.Cmd
		for i := 0; ; i++ {
			key := fmt.Sprint("redistest:", i)
			_, err := master.client.Pipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, key, "", time.Millisecond)
				confirmed = p.Do(ctx, "WAIT", n, 100)
				return nil
			})
			if _, elsewhere := redis.IsMovedError(err); !elsewhere {
				break
			}
		}
		got, err := confirmed.Int()
		return err == nil && got == n
	})
}

func await(t testing.TB, what string, done func(context.Context) bool) {
	t.Helper()
	awaittest.Until(t, what, func() bool { return done(t.Context()) })
}
