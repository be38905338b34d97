package redistest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// slots of a cluster, and the masters that share them.
const (
	slots   = 16384
	masters = 3
)

// Cluster is a Redis Cluster of three masters, each with a third of the slots, and the replicas that Replicas asks for.
type Cluster struct {
	t       testing.TB
	servers []*Server // the masters that it began with, then their replicas
	client  *redis.ClusterClient
}

// Replicas gives each master of a cluster so many replicas, and lets one of them take a dead master's place within
// 2 to 3 s. Without replicas a cluster takes a node for dead only after 15 s, so that a crowded machine does not
// make it fail.
func Replicas(n int) Option { return func(c *config) { c.replicas = n } }

// StartCluster starts a cluster for the time of the test and waits until it takes commands: a fraction of a second.
// It needs Redis 7.0 or newer.
func StartCluster(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	var all config
	for _, opt := range opts {
		opt(&all)
	}
	timeout := "15000"
	if all.replicas > 0 {
		timeout = "1000"
	}
	opts = append(opts[:len(opts):len(opts)], func(c *config) { c.cluster = true },
		Config("cluster-node-timeout", timeout), Config("cluster-replica-validity-factor", "0"))
	c := &Cluster{t: t}
	for range masters * (1 + all.replicas) {
		c.servers = append(c.servers, prepare(t, opts...))
	}
	c.start()
	c.join()
	addrs := make([]string, len(c.servers))
	for i, s := range c.servers {
		addrs[i] = s.Addr()
	}
	own := c.servers[0].options("")
	c.client = redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: addrs, ContextTimeoutEnabled: true, TLSConfig: own.TLSConfig, Username: own.Username, Password: own.Password,
		ClusterStateReloadInterval: time.Second, DialerRetries: 1, // as the program's own: see its redis.go
	})
	t.Cleanup(func() { c.client.Close() })
	return c
}

// start starts the nodes on free ports. They know each other from the files that they find, so that nobody has to be
// introduced.
//
// A master that was just started takes no command for 2 s, lest an old one rejoin a cluster that has gone on without
// it; hundreds of tests cannot wait for that. A replica takes commands at once. So each master begins as the replica
// of a ghost that has its slots, and takes its place in join.
func (c *Cluster) start() {
	c.t.Helper()
	for attempt := 0; ; attempt++ {
		for _, s := range c.servers {
			s.port, s.bus = freePort(c.t), freePort(c.t)
		}
		c.write()
		err := c.launch()
		if err == nil {
			break
		}
		for _, s := range c.servers {
			s.Kill()
		}
		if attempt == 4 || !errors.Is(err, errExited) { // a port was taken meanwhile: try others
			c.t.Fatalf("start a cluster: %v", err)
		}
	}
	for _, s := range c.servers {
		s.client = redis.NewClient(s.options(s.Addr()))
	}
}

func (c *Cluster) launch() error {
	for _, s := range c.servers {
		if err := s.launch(); err != nil {
			return err
		}
	}
	return nil
}

// write gives each node its nodes.conf: a line for each node, with its id, address, role, master, times of the last
// ping and pong, epoch, link, and slots.
func (c *Cluster) write() {
	c.t.Helper()
	for i := range c.servers {
		var conf strings.Builder
		for j, s := range c.servers {
			self := ""
			if i == j {
				self = "myself,"
			}
			role, master := "master", "-"
			if j < masters {
				role, master = "slave", ghost(j)
			}
			fmt.Fprintf(&conf, "%s 127.0.0.1:%d@%d %s%s %s 0 0 %d connected\n", node(j), s.port, s.bus, self, role, master, j+1)
		}
		for j := range masters {
			fmt.Fprintf(&conf, "%s 127.0.0.1:1@1 master - 0 0 %d connected %d-%d\n", ghost(j), j+1, j*slots/masters, (j+1)*slots/masters-1)
		}
		// Who takes a place over makes a new epoch of its own; two that made the same one would have to settle that.
		fmt.Fprintf(&conf, "vars currentEpoch %d lastVoteEpoch 0\n", 100*(i+1))
		if err := os.WriteFile(filepath.Join(c.servers[i].dir, "nodes.conf"), []byte(conf.String()), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
}

// Ids are 40 hexadecimal digits.
func node(i int) string  { return fmt.Sprintf("%040x", i+1) }
func ghost(i int) string { return fmt.Sprintf("%040x", 0xdead00+i) }

// join puts the masters into the places of the ghosts, and replicas behind them.
func (c *Cluster) join() {
	c.t.Helper()
	ctx := c.t.Context()
	must := func(cmd redis.Cmder) {
		c.t.Helper()
		if cmd.Err() != nil {
			c.t.Fatalf("join a cluster: %v", cmd.Err())
		}
	}
	for _, s := range c.servers[:masters] {
		err := s.client.Do(ctx, "CLUSTER", "FAILOVER", "TAKEOVER").Err()
		// go-redis sends it again if the reply was late, and a master refuses it.
		if role, roleErr := s.client.Do(ctx, "ROLE").Slice(); err != nil && (roleErr != nil || role[0] != "master") {
			c.t.Fatalf("join a cluster: %v", err)
		}
	}
	// A node that forgets a ghost before it has heard who took its slots would hold them for lost.
	await(c.t, "the nodes know their masters", func(ctx context.Context) bool {
		for _, s := range c.servers {
			//lint:ignore SA1019 ClusterShards needs Redis 7.0, and 6.2 is supported
			ranges, err := s.client.ClusterSlots(ctx).Result()
			if err != nil || len(ranges) != masters {
				return false
			}
			for _, r := range ranges {
				if strings.HasSuffix(r.Nodes[0].Addr, ":1") {
					return false
				}
			}
		}
		return true
	})
	for _, s := range c.servers {
		for i := range masters {
			must(s.client.ClusterForget(ctx, ghost(i)))
		}
	}
	for i, s := range c.servers[masters:] {
		must(s.client.ClusterReplicate(ctx, node(i%masters)))
	}
	for _, s := range c.servers[:masters] {
		awaitReplicas(c.t, s, len(c.servers)/masters-1)
	}
	await(c.t, "the cluster takes commands", func(ctx context.Context) bool {
		for _, s := range c.servers {
			if c.info(ctx, s)["cluster_state"] != "ok" {
				return false
			}
		}
		return true
	})
}

// info is what a node says of its cluster; empty if it does not answer.
func (c *Cluster) info(ctx context.Context, s *Server) map[string]string {
	text, err := s.client.ClusterInfo(ctx).Result()
	if err != nil {
		return nil
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		fields[name] = value
	}
	return fields
}

func (c *Cluster) URL() string { return c.url("") }

func (c *Cluster) url(who string) string {
	addrs := make([]string, masters)
	for i, s := range c.servers[:masters] {
		addrs[i] = s.Addr()
	}
	u := "redis-cluster://" + who + strings.Join(addrs, ",")
	if c.servers[0].config.tls != nil {
		u += "?" + url.Values{"tls": {"true"}, "ca": {c.servers[0].CAFile()}}.Encode()
	}
	return u
}

// Client returns the cluster's client, the same at each call. It is closed with the test.
func (c *Cluster) Client() redis.UniversalClient { return c.client }

// Servers returns all nodes, the masters that the cluster began with first.
func (c *Cluster) Servers() []*Server { return c.servers }

// Owner is the master that has the key's slot now.
func (c *Cluster) Owner(key string) *Server {
	c.t.Helper()
	slot, err := c.client.ClusterKeySlot(c.t.Context(), key).Result()
	if err != nil {
		c.t.Fatal(err)
	}
	var owner *Server
	await(c.t, key+" has an owner", func(ctx context.Context) bool {
		owner = c.ownerOf(ctx, int(slot))
		return owner != nil
	})
	return owner
}

// ownerOf asks the nodes that answer; nil if none knows an owner that does.
func (c *Cluster) ownerOf(ctx context.Context, slot int) *Server {
	for _, s := range c.servers {
		if !s.answering() {
			continue
		}
		//lint:ignore SA1019 ClusterShards needs Redis 7.0, and 6.2 is supported
		ranges, err := s.client.ClusterSlots(ctx).Result()
		if err != nil {
			continue
		}
		for _, r := range ranges {
			if slot < r.Start || slot > r.End {
				continue
			}
			for _, owner := range c.servers {
				if owner.Addr() == r.Nodes[0].Addr && owner.answering() {
					return owner
				}
			}
		}
	}
	return nil
}

// AwaitFailover waits until the slots of old, which is dead, have another master and the cluster takes commands.
func (c *Cluster) AwaitFailover(old *Server) {
	c.t.Helper()
	await(c.t, "a replica takes over", func(ctx context.Context) bool {
		for _, s := range c.servers {
			if !s.answering() {
				continue
			}
			if c.info(ctx, s)["cluster_state"] != "ok" {
				return false
			}
			//lint:ignore SA1019 ClusterShards needs Redis 7.0, and 6.2 is supported
			ranges, err := s.client.ClusterSlots(ctx).Result()
			if err != nil {
				return false
			}
			for _, r := range ranges {
				if r.Nodes[0].Addr == old.Addr() {
					return false
				}
			}
		}
		return true
	})
}
