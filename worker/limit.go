package worker

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
)

// limiter shares Coze's limits among all processes of one Redis: every chat, and
// every call that counts for the same quota, takes a permit first. The limits are
// kept by credential and, under it, by bot; they set themselves: see limit.lua and
// refused.lua.
type limiter struct {
	rdb     redis.UniversalClient
	highest float64 // calls a second, 0 = no bound but what is learnt
}

//go:embed limitbase.lua
var limitBase string

//go:embed limit.lua
var limitSource string

//go:embed refused.lua
var refusedSource string

//go:embed known.lua
var knownSource string

var (
	limitScript   = redis.NewScript(limitBase + limitSource)
	refusedScript = redis.NewScript(limitBase + refusedSource)
	knownScript   = redis.NewScript(limitBase + knownSource)
)

// What a permit is for.
const (
	forChat = "chat" // held up by pauses
	forPoll = "poll" // of a chat that is paid for: not held up
)

const (
	// nearWait is the longest wait for a permit in place. Who waits in place is one
	// of the chats in flight, so there are never more of them than the concurrency
	// of all processes; this bounds it for a low rate.
	nearWait = 30 * time.Second

	// recheck is how long a waiter sleeps at the most before it looks again: the
	// rate may have risen.
	recheck = time.Second
)

// permit is leave to make one call.
type permit struct {
	at    string  // Redis' time when it was given
	rate  float64 // of the account, calls a second
	probe bool    // the call is to show whether a pause is over
}

// farError says that the next permit is so far away that the task should not wait
// for it in a slot.
type farError struct{ after time.Duration }

func (e *farError) Error() string {
	return fmt.Sprintf("the rate limit is reached: its turn comes in about %v", e.after.Round(time.Second))
}

// pausedError says that nothing may be asked for now with a credential or of a bot.
type pausedError struct {
	scope coze.Scope
	class coze.Class
	after time.Duration // until the next probe
}

func (e *pausedError) Error() string {
	what := "the credential"
	if e.scope == coze.ScopeBot {
		what = "the bot"
	}
	return fmt.Sprintf("%s is paused; the next probe is in %v", what, e.after.Round(time.Second))
}

// request is one caller's way to a permit.
type request struct {
	limiter           *limiter
	what              string
	keys              []string
	botTicket, ticket string
}

func (l *limiter) request(what, credential, bot string) *request {
	return &request{
		limiter: l, what: what, botTicket: "0", ticket: "0",
		keys: []string{limitKey(credential, ""), limitKey(credential, bot), pauseKey(credential, ""), pauseKey(credential, bot)},
	}
}

func (q *request) args() []any {
	return []any{q.what, q.limiter.highest, q.botTicket, q.ticket, nearWait.Milliseconds()}
}

// send sends the first step along with other commands; await takes its reply.
func (q *request) send(ctx context.Context, p redis.Cmdable) *redis.Cmd {
	return limitScript.EvalSha(ctx, p, q.keys, q.args()...)
}

// take waits for a permit. One round trip where nobody waits. Its error may be a
// *farError or, for a chat, a *pausedError.
func (l *limiter) take(ctx context.Context, what, credential, bot string) (permit, error) {
	q := l.request(what, credential, bot)
	return q.await(ctx, limitScript.Run(ctx, l.rdb, q.keys, q.args()...))
}

// await goes on from the first step's reply.
func (q *request) await(ctx context.Context, cmd *redis.Cmd) (permit, error) {
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd = limitScript.Run(ctx, q.limiter.rdb, q.keys, q.args()...)
	}
	for {
		reply, err := cmd.StringSlice()
		if err != nil {
			return permit{}, fmt.Errorf("take a permit: %w", err)
		}
		p, wait, err := q.read(reply)
		if err != nil {
			return permit{}, err
		}
		if wait > 0 {
			if err := backoff.Sleep(ctx, min(wait, recheck)); err != nil {
				return permit{}, err
			}
		}
		if p.at != "" {
			return p, nil
		}
		cmd = limitScript.Run(ctx, q.limiter.rdb, q.keys, q.args()...)
	}
}

// read understands one reply of limit.lua: a permit, perhaps good only after a short
// wait, or none and the time to ask again.
func (q *request) read(reply []string) (p permit, wait time.Duration, err error) {
	if len(reply) != 7 {
		return permit{}, 0, fmt.Errorf("take a permit: %d values from the script, want 7", len(reply))
	}
	ms, _ := strconv.ParseInt(reply[1], 10, 64)
	wait = time.Duration(ms) * time.Millisecond
	switch reply[0] {
	case "go", "probe":
		rate, _ := strconv.ParseFloat(reply[4], 64)
		return permit{at: reply[5], rate: rate, probe: reply[0] == "probe"}, wait, nil
	case "wait":
		q.botTicket, q.ticket = reply[2], reply[3]
		return permit{}, wait, nil
	case "far":
		if q.what == forChat {
			return permit{}, 0, &farError{wait}
		}
		return permit{}, wait, nil
	case "paused":
		return permit{}, 0, &pausedError{coze.ScopeAccount, coze.Class(reply[6]), wait}
	case "bot":
		return permit{}, 0, &pausedError{coze.ScopeBot, coze.Class(reply[6]), wait}
	}
	return permit{}, 0, fmt.Errorf("take a permit: the script answered %q", reply[0])
}

// maxHold bounds how long a server's Retry-After holds all calls up.
const maxHold = time.Minute

// refused tells the limiter that a call with this permit was refused for its rate.
// A Retry-After of a second is the shortest that a server can name, and says
// nothing that the cut does not; a longer one holds everybody up.
func (l *limiter) refused(ctx context.Context, p permit, credential, bot string, e *coze.Error) error {
	if e.Scope != coze.ScopeBot {
		bot = ""
	}
	hold := time.Duration(0)
	if e.RetryAfter > time.Second {
		hold = min(e.RetryAfter, maxHold)
	}
	err := refusedScript.Run(ctx, l.rdb, []string{limitKey(credential, bot)}, p.at, hold.Milliseconds(), p.rate).Err()
	if err != nil {
		return fmt.Errorf("cut the rate: %w", err)
	}
	return nil
}

// known tells the limiter a rate that the account is known to have, before anything was refused.
func (l *limiter) known(ctx context.Context, credential string, rate float64) error {
	if err := knownScript.Run(ctx, l.rdb, []string{limitKey(credential, "")}, rate).Err(); err != nil {
		return fmt.Errorf("note the rate: %w", err)
	}
	return nil
}

// limitKey is the hash of an account's limit, or of one bot's under it. The braces
// keep all of one credential's keys in one slot.
func limitKey(credential, bot string) string {
	key := "cozeq:limit:{" + credential + "}"
	if bot != "" {
		key += ":bot:" + bot
	}
	return key
}

// rate returns the account's rate as it was left, 0 if nothing is known.
func (l *limiter) rate(ctx context.Context, credential string) (rate float64, learnt bool, err error) {
	var now struct {
		Rate float64 `redis:"rate"`
		Top  float64 `redis:"top"`
	}
	err = l.rdb.HMGet(ctx, limitKey(credential, ""), "rate", "top").Scan(&now)
	return math.Max(0, now.Rate), now.Top > 0, err
}
