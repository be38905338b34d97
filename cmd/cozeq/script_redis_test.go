package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/remoteredis"
)

// group is the script's Redis where that is more than an address.
type group struct {
	users    []*redistest.Server // those with rules for their users
	sentinel *redistest.Sentinel
	cluster  *redistest.Cluster
}

const keyRedis valueKey = "redis"

// cmdRedis starts a Redis of the kind that is named, a plain one by default.
func cmdRedis(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: redis [acl, cluster, cluster-acl, sentinel, tls, unix or valkey]")
	}
	kind := ""
	if len(args) > 0 {
		kind = args[0]
	}
	t := ts.Value(keyTB).(testing.TB)
	g := ts.Value(keyRedis).(*group)
	switch kind {
	case "":
		s := redistest.Start(t)
		ts.Setenv("REDIS_URL", s.URL())
		ts.Setenv("REDIS_ADDR", s.Addr())
	case "unix":
		ts.Setenv("REDIS_URL", redistest.Start(t, redistest.Unix()).URL())
	case "valkey":
		ts.Setenv("REDIS_URL", redistest.Start(t, redistest.Valkey()).URL())
	case "acl":
		s := redistest.Start(t, redistest.ACL())
		g.users = []*redistest.Server{s}
		ts.Setenv("REDIS_URL", s.UserURL())
	case "cluster-acl":
		c := redistest.StartCluster(t, redistest.ACL())
		g.users = c.Servers()
		ts.Setenv("REDIS_URL", c.UserURL())
	case "tls":
		s := redistest.Start(t, redistest.TLS(), redistest.Config("tls-auth-clients", "yes"))
		ts.Setenv("REDIS_ADDR", s.Addr())
		for name, path := range map[string]string{"ca.pem": s.CAFile(), "cert.pem": s.CertFile(), "key.pem": s.KeyFile()} {
			content, err := os.ReadFile(path)
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs(name), content, 0o600))
		}
	case "sentinel":
		g.sentinel = redistest.StartSentinel(t)
		ts.Setenv("REDIS_URL", g.sentinel.URL())
	case "cluster":
		g.cluster = redistest.StartCluster(t, redistest.Replicas(1))
		ts.Setenv("REDIS_URL", g.cluster.URL())
	default:
		ts.Fatalf("redis: unknown kind %q", kind)
	}
}

// cmdFailover kills the master, of a cluster the one that has the key, and waits until its replica is in its place.
func cmdFailover(ts *testscript.TestScript, neg bool, args []string) {
	g := ts.Value(keyRedis).(*group)
	switch {
	case g.sentinel != nil && len(args) == 0:
		old := g.sentinel.Master()
		old.Kill()
		g.sentinel.AwaitFailover(old)
	case g.cluster != nil && len(args) == 1:
		old := g.cluster.Owner(args[0])
		old.Kill()
		g.cluster.AwaitFailover(old)
	default:
		ts.Fatalf("usage: failover, after redis sentinel, or failover KEY, after redis cluster")
	}
}

// cmdDenied fails if the user of the script's Redis has tried anything that the rules do not allow.
func cmdDenied(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: denied-nothing")
	}
	for _, s := range ts.Value(keyRedis).(*group).users {
		for _, line := range s.Denied() {
			if !strings.HasSuffix(line, " config|get") { // a check of Redis asks for it, and does without
				ts.Fatalf("%s", line)
			}
		}
	}
}

// cmdRedisDo sends one command to the script's Redis.
func cmdRedisDo(ts *testscript.TestScript, neg bool, args []string) {
	rdb, err := remoteredis.Parse(ts.Getenv("REDIS_URL"), 1)
	ts.Check(err)
	defer rdb.Client.Close()
	command := make([]any, len(args))
	for i, arg := range args {
		command[i] = arg
	}
	err = rdb.Client.Do(context.Background(), command...).Err()
	if neg && err == nil {
		ts.Fatalf("%q: no error", args)
	}
	if !neg {
		ts.Check(err)
	}
}
