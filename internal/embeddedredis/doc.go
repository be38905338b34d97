// Package embeddedredis is the Redis that the program brings along: miniredis in this process, with a clock.
//
// It is for commands that work alone (run, ask) and for tests. It is not for production: nothing is kept on disk, one
// lock serves all, and a run alone takes 1.2 times the CPU of one with a real Redis. It opens no port,
// so no other process can reach it and nobody sees it on the machine. May be imported by internal/session and internal/redistest.
//
// What our code uses and works as in Redis, checked by this package's tests: EVALSHA with cjson and fallback to EVAL (see scripts),
// MULTI, SUBSCRIBE and PSUBSCRIBE with later changes of both, XADD MAXLEN, XREAD BLOCK, pipelines of any size, TTLs of
// keys, and a whole asynq server and inspector.
//
// What differs:
//   - TTLs pass in steps: of 250 ms up to some ten thousand keys, of at most 4 s above. A key may end one step early.
//   - There is no CONFIG, SAVE, SLOWLOG, FUNCTION, SPUBLISH or CLIENT KILL, and INFO says little.
//   - A command that blocks (XREAD BLOCK) runs on when its client gives up, until the next command of anybody.
package embeddedredis
