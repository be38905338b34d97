// Package pause is the circuit breaker. It is closed while chats are asked; after an answer that would only repeat (a
// refused token, a used-up quota, an unpublished bot) it opens for one credential, or for one bot with it: a pause. The
// script that gives permits (package ratelimit) reads the pause, so no worker of the Redis starts a chat more than 20 ms later.
// It is half-open when a probe is due: one real task is asked, and its answer ends the pause.
//
// The package keeps the pauses ([Store]), ends them and runs the parked tasks ([Sweeper]), shows them
// ([All], [PausedQueue]) and knows which credentials live workers serve ([NoteServed], [Serving]). It does not decide which
// answer begins or ends a pause: worker/pausetrigger.go does, with [Scope], [Unreachable] and [Streaks].
//
// Where the tasks wait: a worker with one credential pauses its queues in asynq ([asynqx.QueuePauses]), where asynqmon
// shows it, and takes only probes out of them. Tasks of a paused bot, or of one credential of several, are parked, each
// once: scheduled far ahead, listed under the pause's key, and run when the pause ends.
//
// Keys: cozeq:pause:{CREDENTIAL}, with :bot:BOT, a pause; the same with :aside, its parked tasks; cozeq:pauses, the keys
// of all pauses; cozeq:credentials and cozeq:queue:{Q}:credentials, which credentials were served when. All keys of one
// credential share a slot, and so do those of one queue.
package pause

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redisscript"
)

// Pause is one pause at this moment.
type Pause struct {
	Credential string    `json:"credential"`       // hash, see coze.Client.Identity
	BotID      string    `json:"bot_id,omitempty"` // empty: the whole credential
	Code       int       `json:"code,omitempty"`   // Coze's
	Class      string    `json:"class"`
	Message    string    `json:"message"`
	Hint       string    `json:"hint,omitempty"`
	LogID      string    `json:"logid,omitempty"`
	Since      time.Time `json:"since"`
	NextProbe  time.Time `json:"next_probe"`
	Aside      int64     `json:"aside,omitempty"` // parked tasks
}

// ParkedFor is how far ahead a parked task is scheduled. It is less than half of lane.WaitsAhead, or the sweep would
// take the task for a turn that is stuck.
const ParkedFor = 365 * 24 * time.Hour

//go:embed *.lua
var sources embed.FS

var (
	beginScript    = redisscript.Script(sources, "begin.lua")
	probeNowScript = redisscript.Script(sources, "probenow.lua")
)

// Store keeps the pauses of one Redis.
type Store struct{ Redis redis.UniversalClient }

// Begin pauses a credential, or one bot of it. fresh is false if it was paused before. message is Coze's, as far as it may be
// readable in Redis.
func (p Store) Begin(ctx context.Context, credential, bot string, e *coze.Error, message string) (fresh bool, err error) {
	key := rediskey.Pause(credential, bot)
	// The list first: a pause that is not on it is never probed. A sweep that sees the key before its pause takes it off again,
	// so each task that waits for the end of a pause adds it to the list, too (List, Park).
	if err := p.List(ctx, key); err != nil {
		return false, err
	}
	now, err := p.Redis.Time(ctx).Result()
	if err != nil {
		return false, fmt.Errorf("pause: %w", err)
	}
	first, most := ProbeTimes(e)
	n, err := beginScript.Run(ctx, p.Redis, []string{key}, now.UnixMilli(), first.Milliseconds(), most.Milliseconds(),
		"probe_most", most.Milliseconds(), "credential", credential, "bot_id", bot, "code", e.Code, "class", string(e.Class),
		"message", message, "hint", e.Hint(), "logid", e.LogID).Int()
	if err != nil {
		return false, fmt.Errorf("pause: %w", err)
	}
	return n == 1, nil
}

// End ends a pause. The sweep runs its parked tasks.
func (p Store) End(ctx context.Context, credential, bot string) error {
	if err := p.Redis.Del(ctx, rediskey.Pause(credential, bot)).Err(); err != nil {
		return fmt.Errorf("end a pause: %w", err)
	}
	return nil
}

func (p Store) probeNow(ctx context.Context, key string) error {
	return probeNowScript.Run(ctx, p.Redis, []string{key}, ProbeFirst.Milliseconds()).Err()
}

// keys lists the pauses, and ended ones that may have parked tasks.
func (p Store) keys(ctx context.Context) ([]string, error) {
	keys, err := p.Redis.SMembers(ctx, rediskey.Pauses).Result()
	if err != nil {
		return nil, fmt.Errorf("list pauses: %w", err)
	}
	slices.Sort(keys)
	return keys, nil
}

// Get reads one pause; ok is false if it has ended.
func (p Store) Get(ctx context.Context, key string) (pause Pause, ok bool, err error) {
	f, err := p.Redis.HGetAll(ctx, key).Result()
	if err != nil {
		return Pause{}, false, fmt.Errorf("read a pause: %w", err)
	}
	if f["since"] == "" {
		return Pause{}, false, nil
	}
	code, _ := strconv.Atoi(f["code"])
	pause = Pause{
		Credential: f["credential"], BotID: f["bot_id"], Code: code, Class: f["class"],
		Message: f["message"], Hint: f["hint"], LogID: f["logid"],
		Since: millis(f["since"]), NextProbe: millis(f["next_probe"]),
	}
	if pause.Aside, err = p.Redis.SCard(ctx, rediskey.Parked(key)).Result(); err != nil {
		return Pause{}, false, fmt.Errorf("read a pause: %w", err)
	}
	return pause, true, nil
}

func millis(s string) time.Time {
	ms, _ := strconv.ParseFloat(s, 64)
	return time.UnixMilli(int64(ms)).UTC()
}

func All(ctx context.Context, rdb redis.UniversalClient) ([]Pause, error) {
	p := Store{rdb}
	keys, err := p.keys(ctx)
	if err != nil {
		return nil, err
	}
	var all []Pause
	for _, key := range keys {
		pause, ok, err := p.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, pause)
		}
	}
	return all, nil
}

// ProbeNow makes a probe of every pause due now, and returns how many pauses there are.
func ProbeNow(ctx context.Context, rdb redis.UniversalClient) (int, error) {
	p := Store{rdb}
	keys, err := p.keys(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, key := range keys {
		if _, ok, err := p.Get(ctx, key); err != nil {
			return n, err
		} else if !ok {
			continue
		}
		if err := p.probeNow(ctx, key); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// List adds a pause to the list of those that the sweep looks at. It probes them, and runs the parked tasks of those that
// have ended.
func (p Store) List(ctx context.Context, key string) error {
	if err := p.Redis.SAdd(ctx, rediskey.Pauses, key).Err(); err != nil {
		return fmt.Errorf("list a pause: %w", err)
	}
	return nil
}

func (p Store) Park(ctx context.Context, key, queue, id string) error {
	_, err := p.Redis.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.SAdd(ctx, rediskey.Parked(key), queue+"/"+id)
		pipe.SAdd(ctx, rediskey.Pauses, key)
		return nil
	})
	if err != nil {
		return fmt.Errorf("park a task: %w", err)
	}
	return nil
}

// parkedChunk is how many parked tasks are run at once.
const parkedChunk = 500

// errNoneParked is returned if no task is parked.
var errNoneParked = errors.New("no parked task")

// runParked runs up to n parked tasks. A task leaves the list only after it was run. If the process dies in between, it is run
// twice, which does nothing.
func (p Store) runParked(ctx context.Context, key string, n int64, run func(queue, id string) error) error {
	members, err := p.Redis.SRandMemberN(ctx, rediskey.Parked(key), n).Result()
	if err != nil {
		return fmt.Errorf("bring back parked tasks: %w", err)
	}
	if len(members) == 0 {
		return errNoneParked
	}
	for _, member := range members {
		queue, id, _ := strings.Cut(member, "/")
		if err := run(queue, id); err != nil {
			return err
		}
	}
	return p.Redis.SRem(ctx, rediskey.Parked(key), members).Err()
}
