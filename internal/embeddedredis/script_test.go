package embeddedredis_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
)

// A script's reply and its error are the same on the embedded store and on a real Redis.
func TestScriptReplies(t *testing.T) {
	cases := []struct{ name, script, want string }{
		{"nothing", `local x = 1`, "<nil> redis: nil"},
		{"nil", `return nil`, "<nil> redis: nil"},
		{"false", `return false`, "<nil> redis: nil"},
		{"true", `return true`, "1 <nil>"},
		{"a number is cut", `return 3.9`, "3 <nil>"},
		{"a negative one too", `return -3.9`, "-3 <nil>"},
		{"text", `return KEYS[1] .. ARGV[1] .. #ARGV`, "kv1 <nil>"},
		{"a list ends at nil", `return {1, 'a', {true, false}, nil, 5}`, "[1 a [1 <nil>]] <nil>"},
		{"an empty list", `return {}`, "[] <nil>"},
		{"a field is no list", `return {a = 1}`, "[] <nil>"},
		{"status", `return redis.status_reply('FINE')`, "FINE <nil>"},
		{"error", `return redis.error_reply('BUSY now')`, "<nil> BUSY now"},
		{"an error without a code", `return redis.error_reply('now')`, "<nil> ERR now"},
		{"a command's status", `return redis.call('SET', KEYS[1], 'v').ok`, "OK <nil>"},
		{"a command's nil", `return redis.call('GET', KEYS[1]) == false`, "1 <nil>"},
		{"a command's number", `return redis.call('INCR', KEYS[1]) + 1`, "2 <nil>"},
		{"a command's list", `redis.call('HSET', KEYS[1], 'f', 'v'); return redis.call('HMGET', KEYS[1], 'f', 'g')`, "[v <nil>] <nil>"},
		{"a list in a list", `redis.call('XADD', KEYS[1], '1-1', 'f', 'v'); return redis.call('XRANGE', KEYS[1], '-', '+')`, "[[1-1 [f v]]] <nil>"},
		{"bytes", `redis.call('SET', KEYS[1], 'a\0\r\n\255'); return redis.call('GET', KEYS[1])`, "a\x00\r\n\xff <nil>"},
		{"numbers as arguments", `redis.call('SET', KEYS[1], 1700000000123); return redis.call('GET', KEYS[1])`, "1700000000123 <nil>"},
		{"json", `return cjson.decode(ARGV[2] or '{"n":[1,2]}').n[2]`, "2 <nil>"},
		{"many values", `local t = {} for i = 1, 5000 do t[i] = i end redis.call('RPUSH', KEYS[1], unpack(t)); return redis.call('LLEN', KEYS[1])`, "5000 <nil>"},
		{"a caught error", `local e = redis.pcall('HGET', KEYS[1]); return type(e.err)`, "string <nil>"},
		{"the wrong type", `redis.call('SET', KEYS[1], 'v'); return redis.call('HGET', KEYS[1], 'f')`, "<nil> WRONGTYPE"},
		{"an unknown command", `return redis.call('NOSUCH')`, "<nil> ERR"},
		{"a script's own error", `error('no')`, "<nil> ERR"},
		{"a new global", `x = 1`, "<nil> ERR"},
		{"an unknown global", `return x`, "<nil> ERR"},
		{"no way out", `return os.execute('true')`, "<nil> ERR"},
		{"does not compile", `return (`, "<nil> ERR"},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				for _, run := range []func() *redis.Cmd{
					func() *redis.Cmd { return rdb.Eval(t.Context(), c.script, []string{"k"}, "v") },
					func() *redis.Cmd { return redis.NewScript(c.script).Run(t.Context(), rdb, []string{"k"}, "v") },
				} {
					rdb.Del(t.Context(), "k")
					value, err := run().Result()
					if got := fmt.Sprint(value, " ", err); !strings.HasPrefix(got, c.want) {
						t.Errorf("got %q, want %q", got, c.want)
					}
				}
			})
		}
	})
}

// An error leaves nothing behind for the next script, and one script's write is seen by whoever blocks.
func TestScriptAfterAnError(t *testing.T) {
	rdb := start(t)
	for range 300 { // more than a stack that leaks would hold
		if err := rdb.Eval(t.Context(), `local a, b, c = 1, 2, 3; error('no')`, nil).Err(); err == nil {
			t.Fatal("no error")
		}
	}
	if got, err := rdb.Eval(t.Context(), `return #KEYS + #ARGV`, []string{"a", "b"}, 1).Int(); err != nil || got != 3 {
		t.Fatal(got, err)
	}
}

// Scripts in a transaction run when it does.
func TestScriptInTransaction(t *testing.T) {
	rdb := start(t)
	script := redis.NewScript(`return redis.call('INCRBY', KEYS[1], ARGV[1])`)
	if err := script.Run(t.Context(), rdb, []string{"k"}, 1).Err(); err != nil {
		t.Fatal(err)
	}
	cmds, err := rdb.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		script.EvalSha(t.Context(), p, []string{"k"}, 2)
		script.Eval(t.Context(), p, []string{"k"}, 3)
		return nil
	})
	if err != nil || fmt.Sprint(cmds[0].(*redis.Cmd).Val(), cmds[1].(*redis.Cmd).Val()) != "3 6" {
		t.Fatal(cmds, err)
	}
	if got, err := script.Run(t.Context(), rdb, []string{"k"}, 4).Int(); err != nil || got != 10 {
		t.Fatal(got, err)
	}
}

// SCRIPT FLUSH and EXISTS know what EVAL has made known.
func TestScriptFlush(t *testing.T) {
	rdb := start(t)
	script := redis.NewScript(`return 1`)
	if err := script.Eval(t.Context(), rdb, nil).Err(); err != nil {
		t.Fatal(err)
	}
	known := func(want bool) {
		t.Helper()
		if got, err := script.Exists(t.Context(), rdb).Result(); err != nil || got[0] != want {
			t.Fatal(got, err)
		}
		if err := script.EvalSha(t.Context(), rdb, nil).Err(); (err == nil) != want || err != nil && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			t.Fatal(err)
		}
	}
	known(true)
	rdb.ScriptFlush(t.Context())
	known(false)
	if err := script.Load(t.Context(), rdb).Err(); err != nil {
		t.Fatal(err)
	}
	known(true)
}
