package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/remoteredis"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/tasks"
)

// TestScripts runs testdata/*.txtar, the manual of the command line. Besides the
// commands of testscript they have:
//
//	code N COMMAND ARG...      exec, and the exit code has to be N
//	save NAME FILE             the content of the file, or of stdout, for $NAME
//	await FILE REGEXP          wait until the file's content matches
//	term                       SIGTERM for what runs in the background
//	coze [latency=D] [pace=D] [rate=N]  a fake Coze for $COZE_API_BASE, with a token and a bot;
//	  [bots=ID,...] [app=FILE]   only these bots exist; an OAuth app with its key in FILE
//	rules [FILE]               the fake's faults from now on, as of cozeq mock --script; without FILE none
//	expire                     the tokens that the app was given are no good any more
//	key FILE                   a private key of nobody's app
//	asked N                    the fake was asked exactly N times, refusals included
//	accepted N                 the fake has taken exactly N chats
//	repeats N                  ... of which so many asked a question once more
//	canceled N                 ... of which so many were asked to be canceled, once or more often
//	await-accepted N           wait until the fake has taken N chats
//	redis [KIND]               a Redis of the script's own for $REDIS_URL, a plain one's address in $REDIS_ADDR:
//	                           cluster, sentinel, unix or valkey; tls, at $REDIS_ADDR, wants the certificate cert.pem, key.pem, and has one of ca.pem;
//	                           acl and cluster-acl have the users of deploy/redis/users.acl
//	denied-nothing             the user of that Redis has tried nothing that it may not do
//	failover [KEY]             kill the master (of a cluster KEY's) and wait until its replica is the master
//	redis-do COMMAND ARG...    a command for the Redis at $REDIS_URL
//	await-served [QUEUE]       wait until a worker serves its queue, default if none is named
//	redis-durable              a Redis of the script's own that keeps its data on disk: redis-kill, redis-restart
//	await-out REGEXP COMMAND ARG...  run the command until its stdout matches
//	collector [refuse]         an OpenTelemetry collector for $OTEL_EXPORTER_OTLP_ENDPOINT
//	spans FILE                 what it has got, as a tree, and forget it; FILE.headers are those of the requests
func TestScripts(t *testing.T) {
	t.Parallel() // the last scripts wait
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Values[keyTB] = env.T().(testing.TB)
			env.Values[keyFakes] = &fakes{}
			env.Values[keyRedis] = &group{}
			env.Values[keyDurable] = &durable{}
			env.Values[keyCollector] = &collector{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":           cmdCode,
			"save":           cmdSave,
			"coze":           cmdCoze,
			"accepted":       counted(func(f *cozetest.Server) int { return f.Accepted() }),
			"asked":          counted(asked),
			"expire":         cmdExpire,
			"rules":          cmdRules,
			"key":            cmdKey,
			"repeats":        counted(func(f *cozetest.Server) int { return f.Repeats() }),
			"uploads":        counted(func(f *cozetest.Server) int { return f.Calls("/v1/files/upload") }),
			"canceled":       counted(canceled),
			"redis":          cmdRedis,
			"failover":       cmdFailover,
			"denied-nothing": cmdDenied,
			"redis-do":       cmdRedisDo,
			"redis-durable":  cmdRedisDurable,
			"redis-kill":     cmdRedisKill,
			"redis-restart":  cmdRedisRestart,
			"await":          cmdAwait,
			"await-out":      cmdAwaitOut,
			"await-accepted": cmdAwaitAccepted,
			"await-served":   cmdAwaitServed,
			"collector":      cmdCollector,
			"spans":          cmdSpans,
			"term":           cmdTerm,
		},
	})
}

type valueKey string

const (
	keyTB    valueKey = "testing.TB"
	keyFakes valueKey = "fakes"
)

// patience bounds the waits of scripts. They end long before on a machine that is
// not stuck.
const patience = 60 * time.Second

func cmdCoze(ts *testscript.TestScript, neg bool, args []string) {
	c := cozetest.Config{Tokens: []string{"pat_good"}}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		var err error
		switch name {
		case "latency":
			c.Latency, err = time.ParseDuration(value)
		case "pace":
			c.DeltaPace, err = time.ParseDuration(value)
		case "rate":
			c.Rate, err = strconv.ParseFloat(value, 64)
		case "bots":
			c.Bots = strings.Split(value, ",")
		case "app":
			c.OAuthKey, err = writeKey(ts.MkAbs(value))
		default:
			ts.Fatalf("coze: unknown setting %q", name)
		}
		ts.Check(err)
	}
	fake := cozetest.New(ts.Value(keyTB).(testing.TB), cozetest.With(c))
	ts.Value(keyFakes).(*fakes).server = fake
	ts.Setenv("COZE_API_BASE", fake.URL)
	ts.Setenv("COZE_API_TOKEN", "pat_good")
	ts.Setenv("COZE_BOT_ID", "bot_1")
}

func writeKey(path string) (*rsa.PublicKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &key.PublicKey, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func cmdKey(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: key FILE")
	}
	_, err := writeKey(ts.MkAbs(args[0]))
	ts.Check(err)
}

func cmdRules(ts *testscript.TestScript, neg bool, args []string) {
	var script cozetest.Script
	if len(args) > 0 {
		var err error
		script, err = cozetest.LoadScript(strings.NewReader(ts.ReadFile(args[0])))
		ts.Check(err)
	}
	ts.Check(theFake(ts).SetRules(script...))
}

func cmdExpire(ts *testscript.TestScript, neg bool, args []string) { theFake(ts).ExpireTokens() }

// fakes holds the script's fake: testscript's values cannot be set by commands.
type fakes struct{ server *cozetest.Server }

func theFake(ts *testscript.TestScript) *cozetest.Server {
	fake := ts.Value(keyFakes).(*fakes).server
	if fake == nil {
		ts.Fatalf("there is no fake yet: use coze first")
	}
	return fake
}

func number(ts *testscript.TestScript, args []string) int {
	if len(args) != 1 {
		ts.Fatalf("want one number, got %q", args)
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	return n
}

// counted makes a command that compares a count of the fake's.
func counted(count func(*cozetest.Server) int) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if got, want := count(theFake(ts)), number(ts, args); (got == want) == neg {
			ts.Fatalf("the fake counted %d, want %d (not: %v)", got, want, neg)
		}
	}
}

// asked counts the questions. What a check of the base URL posts names no bot.
func asked(f *cozetest.Server) (n int) {
	for _, r := range f.Requests() {
		if r.Path == "/v3/chat" && r.BotID != "" {
			n++
		}
	}
	return n
}

// canceled counts the chats that were to be canceled. Two attempts at one task may both cancel its chat.
func canceled(f *cozetest.Server) int {
	chats := make(map[string]bool)
	for _, r := range f.Requests() {
		if r.Path == "/v3/chat/cancel" {
			chats[r.ChatID] = true
		}
	}
	return len(chats)
}

func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARG...")
	}
	want, got := number(ts, args[:1]), 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func cmdSave(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: save NAME FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

func cmdAwaitServed(ts *testscript.TestScript, neg bool, args []string) {
	rdb, err := remoteredis.Parse(ts.Getenv("REDIS_URL"), 1)
	ts.Check(err)
	defer rdb.Client.Close()
	s := &session.Session{Redis: rdb.Client}
	queue := tasks.QueueDefault
	if len(args) > 0 {
		queue = args[0]
	}
	until(ts, func() bool { return s.Served(queue) == nil }, func() { ts.Fatalf("no worker came") })
}

func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: await FILE REGEXP")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	var content []byte
	until(ts, func() bool {
		content, _ = os.ReadFile(ts.MkAbs(args[0]))
		return pattern.Match(content)
	}, func() { ts.Fatalf("no match for %q in %s:\n%s", args[1], args[0], content) })
}

func cmdAwaitAccepted(ts *testscript.TestScript, neg bool, args []string) {
	n := number(ts, args)
	until(ts, func() bool { return theFake(ts).Accepted() >= n },
		func() { ts.Fatalf("the fake took %d chats, waited for %d", theFake(ts).Accepted(), n) })
}

// until polls: what it waits for happens in other processes.
func until(ts *testscript.TestScript, done func() bool, failed func()) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(end) {
			failed()
		}
	}
}

func cmdTerm(ts *testscript.TestScript, neg bool, args []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}
