package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/rediskey"
)

// endProbedPause ends the pause that this attempt was the probe of, if the probe has its answer or its chat failed for a
// reason of its own. A created chat is not enough: a used-up quota may show only after it. A pause because Coze was
// unreachable ends with any reply of Coze.
func (c *calls) endProbedPause(ctx context.Context, err error) {
	if !c.probe {
		return
	}
	e, ok := errors.AsType[*coze.Error](err)
	answered := err == nil || ok && e.Zone == coze.ZoneCreated && e.Ended && pause.Scope(e) == ""
	switch {
	case answered:
		c.endPauses(ctx, "", c.payload.Asked())
	case ok && isReply(e) && pause.Scope(e) == "":
		c.endUnreachablePause(ctx)
		c.endAlikePause(ctx, e)
	}
}

// endAlikePause ends a bot's pause that began because all its questions failed with one code, if the probe has failed with
// another one.
func (c *calls) endAlikePause(ctx context.Context, e *coze.Error) {
	p, ok, err := c.sweeper.Pauses.Get(ctx, rediskey.Pause(c.credential, c.payload.Asked()))
	if err == nil && ok && p.Class == string(coze.ClassPermanent) && p.Code != e.Code {
		c.endPauses(ctx, c.payload.Asked())
	}
}

// isReply reports whether Coze itself has answered with this error, so that Coze is reachable.
func isReply(e *coze.Error) bool {
	return e.Class != coze.ClassEndpoint && (e.Code != 0 || e.Zone == coze.ZoneCreated)
}

// endUnreachablePause ends the credential's pause if it began because Coze was unreachable.
func (c *calls) endUnreachablePause(ctx context.Context) {
	p, ok, err := c.sweeper.Pauses.Get(ctx, rediskey.Pause(c.credential, ""))
	if err != nil {
		c.log.Warn("could not read a pause to end it; the next probe ends it", "err", err)
		return
	}
	if ok && p.Unreachable() {
		c.endPauses(ctx, "")
	}
}

// endPauses ends the pauses of these bots; "" stands for the whole credential. Then it runs the tasks that were parked.
func (c *calls) endPauses(ctx context.Context, bots ...string) {
	for _, bot := range bots {
		if err := c.sweeper.Pauses.End(ctx, c.credential, bot); err != nil {
			c.log.Warn("could not end a pause; the next probe ends it", "err", err)
			return
		}
	}
	c.log.Warn("pause ended: a probe succeeded", "credential", c.credential, "bot", c.payload.Asked())
	if err := c.sweeper.Sweep(ctx); err != nil {
		c.log.Warn("could not run all parked tasks; the next sweep does", "err", err)
	}
}

// limitOrPause does what the outcome of a call means for other tasks: it cuts the rate, or pauses the credential or the bot.
// paused is true if the task meets a pause that its error alone does not begin.
func (c *calls) limitOrPause(ctx context.Context, err error) (paused bool) {
	if c.credential == "" {
		return false
	}
	e, ok := errors.AsType[*coze.Error](err)
	if (err == nil || ok && isReply(e)) && c.streaks.Heard(c.credential) && (err == nil || pause.Scope(e) == "") {
		c.endUnreachablePause(ctx)
	}
	if !ok {
		return false
	}
	c.countUnknown(e)
	if e.Class == coze.ClassRate {
		if err := c.limit.Refused(ctx, c.permitted, c.credential, c.payload.Asked(), e); err != nil {
			c.log.Warn("could not cut the rate", "err", err)
		}
		return false
	}
	if pause.Unreachable(e) {
		if many := c.streaks.Missed(c.credential, c.began); many && e.Unreached {
			return c.beginPause(ctx, "", e)
		}
	}
	switch pause.Scope(e) {
	case coze.ScopeBot:
		c.beginPause(ctx, c.payload.Asked(), e)
	case coze.ScopeAccount:
		c.beginPause(ctx, "", e)
	}
	return false
}

// beginPause pauses a bot, or with "" the credential. It reports whether there is a pause now.
func (c *calls) beginPause(ctx context.Context, bot string, e *coze.Error) bool {
	if pause.Unreachable(e) && c.othersReachCoze(ctx) {
		return false
	}
	fresh, err := c.sweeper.Pauses.Begin(ctx, c.credential, bot, e, tellable(e.Message, c.cfg.Keys))
	if err != nil {
		c.log.Warn("could not pause", "err", err)
		return false
	}
	c.limit.DropSpares()
	if fresh {
		if pause.Unreachable(e) {
			c.streaks.Began(c.credential)
		}
		first, _ := pause.ProbeTimes(e)
		c.log.Warn("paused: nothing more is asked until a probe gets through", "credential", c.credential, "bot", bot,
			"class", string(e.Class), "code", e.Code, "err", e, "hint", e.Hint(), "next_probe", time.Now().Add(first))
	}
	return true
}

// othersReachCoze reports whether this process alone is cut off from Coze. It knows so if it has begun a pause for that, has
// not heard Coze since, and the pause is over: then a probe of another process got through. In that case this process does
// not pause for all again, but takes no tasks for a while.
//
// Several attempts may fail together. One of them begins the pause and then notes that it did (Streaks.Began). Attempts
// that come before the note begin the pause with it, which changes nothing. Attempts that come after it find the pause.
func (c *calls) othersReachCoze(ctx context.Context) bool {
	if !c.streaks.HasBegun(c.credential) {
		return false
	}
	_, stands, err := c.sweeper.Pauses.Get(ctx, rediskey.Pause(c.credential, ""))
	if err != nil || stands {
		return false
	}
	c.log.Warn("other workers reach Coze and this one does not: taking no tasks for a while", "credential", c.credential, "for", pause.OthersReach)
	if len(c.cfg.Credentials) == 0 {
		c.poller.Suspend(pause.OthersReach)
	}
	return true
}

// awaitPauseEnd lets a task wait for the end of a pause, and returns after how long asynq runs it again. A worker of one
// credential pauses its queues and puts the task back there, where a worker of another credential may take it. All other
// tasks are parked, because their queue also has tasks that can be asked.
func (c *calls) awaitPauseEnd(ctx context.Context, scope coze.Scope, queue, id string) (time.Duration, error) {
	if scope == coze.ScopeAccount && len(c.cfg.Credentials) == 0 {
		if err := c.sweeper.Pauses.List(ctx, rediskey.Pause(c.credential, "")); err != nil {
			return 0, err
		}
		for _, queue := range c.poller.Queues {
			if _, err := c.sweeper.Queues.Pause(ctx, queue, c.credential); err != nil {
				return 0, err
			}
		}
		return backInQueue, nil
	}
	bot := ""
	if scope == coze.ScopeBot {
		bot = c.payload.Asked()
	}
	return pause.ParkedFor, c.sweeper.Pauses.Park(ctx, rediskey.Pause(c.credential, bot), queue, id)
}

// backInQueue is how soon a task is back in its paused queue.
const backInQueue = time.Second

// answeredFor is how long Redis remembers that a bot has answered.
const answeredFor = 30 * 24 * time.Hour

// answeredOnce notes in Redis that a bot has answered, once in a process.
func (c *calls) answeredOnce(ctx context.Context) {
	if !c.streaks.Answered(c.credential, c.payload.Asked()) {
		return
	}
	_, err := c.cfg.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.SAdd(ctx, rediskey.Answered(c.credential), c.payload.Asked())
		p.Expire(ctx, rediskey.Answered(c.credential), answeredFor)
		return nil
	})
	if err != nil {
		c.log.Debug("could not note that the bot has answered", "err", err)
	}
}

// failedAlike returns an error that pauses the bot if all of its first questions failed in the same way, whatever the class;
// otherwise nil. A transient failure counts once a question has used up its attempts: a gateway that always answers 502
// would fail a whole file.
func (c *calls) failedAlike(ctx context.Context, v Verdict) *coze.Error {
	e, ok := errors.AsType[*coze.Error](v.Err)
	if !ok || v.Action != Fail || c.credential == "" || c.payload == nil || pause.Scope(e) != "" ||
		e.Class != coze.ClassPermanent && e.Class != coze.ClassTransient || !c.streaks.Fault(c.credential, c.payload.Asked(), e) {
		return nil
	}
	if c.cfg.Answered != nil && c.cfg.Answered() {
		return nil
	}
	if known, err := c.cfg.Redis.SIsMember(ctx, rediskey.Answered(c.credential), c.payload.Asked()).Result(); err != nil || known {
		return nil
	}
	own := *e
	own.Scope = coze.ScopeBot
	own.Message = fmt.Sprintf("the first %d questions all failed so, and none was ever answered: %s", pause.AlikeMost, e.Message)
	return own.WithHint(e.Hint() + " Where all questions meet it, look at the settings and the bot first.")
}
