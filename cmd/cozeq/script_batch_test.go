package main

import (
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cozeq/cozeq/internal/redistest"
)

// durable is the script's Redis that keeps its data on disk.
type durable struct{ server *redistest.Server }

const keyDurable valueKey = "durable redis"

// cmdRedisDurable starts a Redis that loses nothing when it is killed.
func cmdRedisDurable(ts *testscript.TestScript, neg bool, args []string) {
	s := redistest.Start(ts.Value(keyTB).(testing.TB), redistest.AppendOnly("always"))
	ts.Value(keyDurable).(*durable).server = s
	ts.Setenv("REDIS_URL", s.URL())
}

// cmdRedisKill kills it; cmdRedisRestart has it back.
func cmdRedisKill(ts *testscript.TestScript, neg bool, args []string) {
	ts.Value(keyDurable).(*durable).server.Kill()
}

func cmdRedisRestart(ts *testscript.TestScript, neg bool, args []string) {
	ts.Value(keyDurable).(*durable).server.Restart()
}

// cmdAwaitOut runs a command until its stdout matches.
func cmdAwaitOut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await-out REGEXP COMMAND ARG...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	out := ""
	until(ts, func() bool {
		_ = ts.Exec(args[1], args[2:]...) // what it prints before it works is no match
		out = ts.ReadFile("stdout")
		return pattern.MatchString(out)
	}, func() { ts.Fatalf("no match for %q in:\n%s", args[0], out) })
}
