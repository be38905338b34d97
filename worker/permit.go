package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/ratelimit"
	"github.com/cozeq/cozeq/tasks"
)

// calls is an attempt's way to Coze. It takes a permit for each call, and draws from what comes back what concerns more
// than this task: the rate limit, or a pause.
type calls struct {
	*throttle
	log     *slog.Logger
	payload *tasks.Chat // nil: it could not be read
	began   time.Time   // the attempt

	coze       *coze.Client     // of the task's credential
	credential string           // its identity, once a permit was asked for
	permitted  ratelimit.Permit // the last one

	request   *ratelimit.Request // to ask
	requested time.Time
	reply     *redis.Cmd

	probe bool // the chat shows whether a pause is over
}

// throttle is what the attempts of a process share on their way to Coze: the limits and pauses of its credentials, and what
// the process has met with them.
type throttle struct {
	cfg          *Config
	codes        *coze.CodeTable
	poller       *asynqx.Poller
	limit        *ratelimit.Limiter
	sweeper      *pause.Sweeper // with all pauses
	streaks      pause.Streaks
	unknownCodes logSampler[int]
	missingKeys  logSampler[string]
	syncOnly     sync.Map // by credential: its plan has no asynchronous runs, as far as this process has learnt

	askPlanRate func(*coze.Client, string) // asks for the rate of a credential's plan
}

// permit takes leave for one call that looks a chat up.
func (c *calls) permit(ctx context.Context) (err error) {
	if c.credential == "" { // a cancellation that came before anything else
		if err := c.identify(ctx); err != nil {
			return err
		}
	}
	c.permitted, err = c.limit.Take(ctx, ratelimit.ForLookup, c.credential, c.payload.Asked())
	return err
}

func (c *calls) identify(ctx context.Context) (err error) {
	c.credential, err = c.coze.Identity(ctx)
	return err
}

// requestToAsk requests a permit for a chat, along with other commands. awaitToAsk takes the reply.
func (c *calls) requestToAsk(ctx context.Context, p redis.Cmdable) {
	what := ratelimit.ForChat
	if c.probe {
		what = ratelimit.ForLookup // asked again within one attempt: the pause that it probes holds up the others
	}
	c.request, c.requested = c.limit.Request(what, c.credential, c.payload.Asked()), time.Now()
	c.reply = c.request.Send(ctx, p)
}

// awaitToAsk waits for the permit.
func (c *calls) awaitToAsk(ctx context.Context) (err error) {
	c.permitted, err = c.request.Await(ctx, c.reply)
	if long, ok := errors.AsType[*ratelimit.LongWaitError](err); ok && len(c.cfg.Credentials) == 0 {
		c.poller.Suspend(min(long.After, longHold)) // the others in the queue would wait as long
	}
	if err != nil {
		return err
	}
	c.probe = c.probe || c.permitted.Probe
	if time.Since(c.requested) > hintAfter {
		c.askPlanRate(c.coze, c.credential)
	}
	return nil
}

// permitGiven names what became of a wait for a permit. A long wait, and a pause, are no failures.
func permitGiven(err error) string {
	if err == nil {
		return "given"
	}
	if _, ok := errors.AsType[*ratelimit.LongWaitError](err); ok {
		return "far"
	}
	if _, ok := errors.AsType[*ratelimit.PausedError](err); ok {
		return "paused"
	}
	return "error"
}

// longHold is the longest that a process takes no tasks because the wait for a permit is long.
const longHold = 5 * time.Second

// Where the token may read it, Coze tells what the account's plan allows. That is only
// a hint: less may hold at a moment, and the limiter learns it. It shortens the way up
// from the first rate, so it is asked for once a process and credential, when a
// question has to wait for the first time.
const (
	hintAfter = 50 * time.Millisecond
	hintWait  = 5 * time.Second
	hintShare = 0.9 // of what the plan allows: other programs may call too
)

// askPlanRate asks for the plan's rate beside what the worker does.
func (w *Worker) askPlanRate(client *coze.Client, credential string) {
	w.mu.Lock()
	asked := w.hinted[credential]
	w.hinted[credential] = true
	w.mu.Unlock()
	if asked {
		return
	}
	w.wg.Go(func() {
		ctx, cancel := context.WithTimeout(w.life, hintWait)
		defer cancel()
		rate, err := client.ChatRate(ctx)
		if err != nil || rate == 0 {
			w.log.Debug("the plan's rate is not to be had, it will be learnt", "credential", credential, "err", err)
			return
		}
		if err := w.limit.Know(ctx, credential, rate*hintShare); err != nil {
			w.log.Debug("could not note the plan's rate, it will be learnt", "credential", credential, "err", err)
			return
		}
		w.log.Debug("the plan allows a rate", "credential", credential, "calls_per_second", rate)
	})
}
