// Package ratelimit is the adaptive rate limiter. [Limiter.Request] gives a permit for one call to Coze, [Limiter.Refused]
// reports that Coze refused a call for its rate. All processes of one Redis share the limits, which belong to a
// credential and, once Coze has named one, to a bot with it.
//
// It promises: the rate settles just below a limit that Coze does not name, without a setting; a change of the rate acts
// at once on every caller that waits; a refusal that has nothing to do with the rate does not end in a standstill; a
// process that dies costs the permits of 20 ms at the most. A permit for a chat respects pauses (package pause), in the same
// round trip; a spare one is up to 20 ms behind. It is not for limits of your own: [Limiter.Highest] only bounds what is learnt.
//
// Keys: cozeq:limit:{CREDENTIAL}, with :workflows, with :uploads, with :bot:BOT, a hash that lives an hour after its last call.
// Its fields may change between versions: the workers learn the rate again.
//
// Scripts, each behind limitbase.lua: limit.lua gives a permit and raises the rate, refused.lua cuts it, known.lua starts
// at a rate that is known. docs/limits.md has the figures.
package ratelimit

import (
	"context"
	"embed"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redisscript"
)

// Limiter shares Coze's limits among all processes of one Redis. Every chat, and every call that counts for the same quota,
// takes a permit first. There is a limit for each credential and, below it, for each bot. limit.lua and refused.lua learn
// them.
type Limiter struct {
	Redis   redis.UniversalClient
	Highest float64 // calls a second, 0 = no bound but what is learnt

	spares spares
}

//go:embed *.lua
var sources embed.FS

var (
	limitScript   = redisscript.Script(sources, "limitbase.lua", "limit.lua")
	refusedScript = redisscript.Script(sources, "limitbase.lua", "refused.lua")
	knownScript   = redisscript.Script(sources, "limitbase.lua", "known.lua")
)

// What a permit is for.
const (
	ForChat   = "chat" // held up by pauses
	ForLookup = "poll" // of a chat that is paid for, or an upload: not held up
)

// Uploads stands for the bot of a call that uploads a file.
const Uploads = "uploads"

const (
	// nearWait is the longest wait for a permit in place. A caller that waits in place holds a slot, so there are never more of
	// them than the concurrency of all processes. At a low rate that would still be a long wait.
	nearWait = 30 * time.Second

	// recheck is the longest that a caller sleeps before it asks again, because the rate may have risen.
	recheck = time.Second
)

// Permit is leave to make one call.
type Permit struct {
	At    int64   // when it was given, in µs by Redis' clock
	Rate  float64 // of the account, calls a second
	Probe bool    // the call is to show whether a pause is over
}

// LongWaitError means that the wait for a permit is too long for a slot.
type LongWaitError struct{ After time.Duration }

func (e *LongWaitError) Error() string {
	return fmt.Sprintf("the rate limit is reached: its turn comes in about %v", e.After.Round(time.Second))
}

// PausedError means that a credential or a bot is paused.
type PausedError struct {
	Scope coze.Scope
	Class coze.Class
	After time.Duration // until the next probe
}

func (e *PausedError) Error() string {
	what := "the credential"
	if e.Scope == coze.ScopeBot {
		what = "the bot"
	}
	return fmt.Sprintf("%s is paused; the next probe is in %v", what, e.After.Round(time.Second))
}

// Request is one call's request for a permit.
type Request struct {
	limiter           *Limiter
	what              string
	keys              []string
	botTicket, ticket int64
	spare             Permit    // instead of a call
	more              int       // to take along
	at                time.Time // sent
}

func (l *Limiter) Request(what, credential, bot string) *Request {
	return &Request{
		limiter: l, what: what,
		keys: []string{l.shared(credential, bot), rediskey.Limit(credential, bot), rediskey.Pause(credential, ""), rediskey.Pause(credential, bot)},
	}
}

func (q *Request) args() []any {
	return []any{q.what, q.limiter.Highest, q.botTicket, q.ticket, nearWait.Milliseconds(), q.more}
}

// Send sends the first step along with other commands; Await takes its reply. It is nil if this process has a spare permit.
func (q *Request) Send(ctx context.Context, p redis.Cmdable) *redis.Cmd {
	if q.what == ForChat {
		var ok bool
		q.at = time.Now()
		if q.spare, q.more, ok = q.limiter.spares.next(q.keys[1], q.at); ok {
			return nil
		}
	}
	return limitScript.EvalSha(ctx, p, q.keys, q.args()...)
}

// Take waits for a permit. It takes one round trip if no other caller waits. Its error may be a *LongWaitError or, for a chat, a
// *PausedError.
func (l *Limiter) Take(ctx context.Context, what, credential, bot string) (Permit, error) {
	q := l.Request(what, credential, bot)
	return q.Await(ctx, q.Send(ctx, l.Redis))
}

// Await takes the reply of Send and waits for the permit.
func (q *Request) Await(ctx context.Context, cmd *redis.Cmd) (Permit, error) {
	if cmd == nil {
		return q.spare, nil
	}
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd = limitScript.Run(ctx, q.limiter.Redis, q.keys, q.args()...)
	}
	for {
		reply, err := cmd.Slice()
		if err != nil {
			return Permit{}, fmt.Errorf("take a permit: %w", err)
		}
		p, wait, err := q.read(reply)
		if err != nil {
			return Permit{}, err
		}
		if wait > 0 {
			if err := backoff.Sleep(ctx, min(wait, recheck)); err != nil {
				return Permit{}, err
			}
		}
		if p.At != 0 {
			return p, nil
		}
		q.more = 0
		cmd = limitScript.Run(ctx, q.limiter.Redis, q.keys, q.args()...)
	}
}

// read decodes a reply of limit.lua: a permit, which may be good only after a short wait, or the time to ask again.
func (q *Request) read(reply []any) (p Permit, wait time.Duration, err error) {
	if len(reply) != 8 {
		return Permit{}, 0, fmt.Errorf("take a permit: %d values from the script, want 8", len(reply))
	}
	number := func(i int) int64 { n, _ := reply[i].(int64); return n }
	wait = time.Duration(number(1)) * time.Millisecond
	class, _ := reply[6].(string)
	switch reply[0] {
	case "go", "probe":
		p = Permit{At: number(5), Rate: float64(number(4)) / 1000, Probe: reply[0] == "probe"}
		if n := number(7); n > 0 {
			q.limiter.spares.put(q.keys[1], p, int(n), q.at)
		}
		return p, wait, nil
	case "wait":
		q.botTicket, q.ticket = number(2), number(3)
		return Permit{}, wait, nil
	case "far":
		if q.what == ForChat {
			return Permit{}, 0, &LongWaitError{wait}
		}
		return Permit{}, wait, nil
	case "paused":
		return Permit{}, 0, &PausedError{coze.ScopeAccount, coze.Class(class), wait}
	case "bot":
		return Permit{}, 0, &PausedError{coze.ScopeBot, coze.Class(class), wait}
	}
	return Permit{}, 0, fmt.Errorf("take a permit: the script answered %q", reply[0])
}

// maxHold bounds how long a Retry-After stops all calls.
const maxHold = time.Minute

// Refused reports that a call with this permit was refused for its rate. A Retry-After of more than a second stops all calls
// for as long. One second is the shortest that a server can name; the cut alone does as much.
func (l *Limiter) Refused(ctx context.Context, p Permit, credential, bot string, e *coze.Error) error {
	l.DropSpares()
	key := rediskey.Limit(credential, bot)
	if e.Scope != coze.ScopeBot {
		key = l.shared(credential, bot)
	}
	hold := time.Duration(0)
	if e.RetryAfter > time.Second {
		hold = min(e.RetryAfter, maxHold)
	}
	err := refusedScript.Run(ctx, l.Redis, []string{key}, p.At, hold.Milliseconds(), p.Rate).Err()
	if err != nil {
		return fmt.Errorf("cut the rate: %w", err)
	}
	return nil
}

// DropSpares makes this process ask Redis again before the next chat: a pause has begun.
func (l *Limiter) DropSpares() { l.spares.drop() }

// Know sets the rate of an account that is known before a call was refused.
func (l *Limiter) Know(ctx context.Context, credential string, rate float64) error {
	if err := knownScript.Run(ctx, l.Redis, []string{rediskey.Limit(credential, "")}, rate).Err(); err != nil {
		return fmt.Errorf("note the rate: %w", err)
	}
	return nil
}

// shared is the key of the limit that a credential's calls share. Coze counts the calls for workflows and chatflows, and those
// that upload files, apart from those for chats; Highest bounds all but uploads together. asked is what tasks.Chat.Asked says, or
// Uploads.
func (l *Limiter) shared(credential, asked string) string {
	switch key := rediskey.Limit(credential, ""); {
	case asked == Uploads:
		return key + ":uploads"
	case l.Highest == 0 && strings.HasPrefix(asked, "workflow:"):
		return key + ":workflows"
	default:
		return key
	}
}

// rate returns the account's last rate, 0 if none is known.
func (l *Limiter) rate(ctx context.Context, credential string) (rate float64, learnt bool, err error) {
	var now struct {
		Rate float64 `redis:"rate"`
		Top  float64 `redis:"top"`
	}
	err = l.Redis.HMGet(ctx, rediskey.Limit(credential, ""), "rate", "top").Scan(&now)
	return math.Max(0, now.Rate), now.Top > 0, err
}
