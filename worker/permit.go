package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/limit"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/tasks"
)

// calls is an attempt's way to Coze. It takes a permit for each call, and draws from what comes back what concerns more
// than this task: the rate limit, or a pause.
type calls struct {
	*throttle
	log   *slog.Logger
	chat  *tasks.Chat // nil: the payload could not be read
	began time.Time   // the attempt

	coze       *coze.Client // of the task's credential
	credential string       // its identity, once a permit was asked for
	permitted  limit.Permit // the last one
	probe      bool         // the chat shows whether a pause is over
}

// throttle is what the attempts of a process share on their way to Coze: the limits and pauses of its credentials, and what
// the process has met with them.
type throttle struct {
	cfg         *Config
	codes       *coze.CodeTable
	gate        *asynqx.Gate
	limit       *limit.Limiter
	sweeper     *pause.Sweeper // with all pauses
	streaks     pause.Streaks
	unknown     unknownCodes
	missingKeys missingKeys
	syncOnly    syncOnly

	askPlanRate func(*coze.Client, string) // asks for the rate of a credential's plan
}

// permit takes leave for one call that looks a chat up.
func (c *calls) permit(ctx context.Context) (err error) {
	if c.credential == "" { // a cancellation that came before anything else
		if err := c.identify(ctx); err != nil {
			return err
		}
	}
	c.permitted, err = c.limit.Take(ctx, limit.ForLookup, c.credential, c.chat.Asked())
	return err
}

func (c *calls) identify(ctx context.Context) (err error) {
	c.credential, err = c.coze.Identity(ctx)
	return err
}

// permitToAsk takes a permit for a chat in two steps: draw sends the request along with other commands, await waits for
// the permit.
func (c *calls) permitToAsk() (draw func(context.Context, redis.Cmdable), await func(context.Context) error) {
	what := limit.ForChat
	if c.probe {
		what = limit.ForLookup // asked again within one attempt: the pause that it probes holds up the others
	}
	q := c.limit.Request(what, c.credential, c.chat.Asked())
	var began time.Time
	var drawn *redis.Cmd
	draw = func(ctx context.Context, p redis.Cmdable) { began, drawn = time.Now(), q.Send(ctx, p) }
	return draw, func(ctx context.Context) (err error) {
		c.permitted, err = q.Await(ctx, drawn)
		if long, ok := errors.AsType[*limit.LongWaitError](err); ok && len(c.cfg.Credentials) == 0 {
			c.gate.Hold(min(long.After, longHold)) // the others in the queue would wait as long
		}
		if err != nil {
			return err
		}
		c.probe = c.probe || c.permitted.Probe
		if time.Since(began) > hintAfter {
			c.askPlanRate(c.coze, c.credential)
		}
		return nil
	}
}

// permitGiven names what became of a wait for a permit. A long wait, and a pause, are no failures.
func permitGiven(err error) string {
	if err == nil {
		return "given"
	}
	if _, ok := errors.AsType[*limit.LongWaitError](err); ok {
		return "far"
	}
	if _, ok := errors.AsType[*limit.PausedError](err); ok {
		return "paused"
	}
	return "error"
}

// longHold is the longest that a process takes no tasks because the wait for a permit is long.
const longHold = 5 * time.Second
