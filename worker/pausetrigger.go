package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/pause"
)

// endProbedPause ends the pause that this attempt was the probe of, if the probe has its answer or its chat failed for a
// reason of its own. A created chat is not enough: a used-up quota may show only after it. A pause because Coze was
// unreachable ends with any reply of Coze.
func (a *calls) endProbedPause(ctx context.Context, err error) {
	if !a.probe {
		return
	}
	e, ok := errors.AsType[*coze.Error](err)
	answered := err == nil || ok && e.Zone == coze.ZoneCreated && e.Ended && pause.Scope(e) == ""
	switch {
	case answered:
		a.endPauses(ctx, "", a.chat.Asked())
	case ok && isReply(e) && pause.Scope(e) == "":
		a.endUnreachablePause(ctx)
		a.endAlikePause(ctx, e)
	}
}

// endAlikePause ends a bot's pause that began because all its questions failed with one code, if the probe has failed with
// another one.
func (a *calls) endAlikePause(ctx context.Context, e *coze.Error) {
	p, ok, err := a.sweeper.Pauses.Get(ctx, pause.Key(a.credential, a.chat.Asked()))
	if err == nil && ok && p.Class == string(coze.ClassPermanent) && p.Code != e.Code {
		a.endPauses(ctx, a.chat.Asked())
	}
}

// isReply reports whether Coze itself has answered with this error, so that Coze is reachable.
func isReply(e *coze.Error) bool {
	return e.Class != coze.ClassEndpoint && (e.Code != 0 || e.Zone == coze.ZoneCreated)
}

// endUnreachablePause ends the credential's pause if it began because Coze was unreachable.
func (a *calls) endUnreachablePause(ctx context.Context) {
	p, ok, err := a.sweeper.Pauses.Get(ctx, pause.Key(a.credential, ""))
	if err != nil {
		a.log.Warn("could not read a pause to end it; the next probe ends it", "err", err)
		return
	}
	if ok && p.Unreachable() {
		a.endPauses(ctx, "")
	}
}

// endPauses ends the pauses of these bots; "" stands for the whole credential. Then it runs the tasks that were parked.
func (a *calls) endPauses(ctx context.Context, bots ...string) {
	for _, bot := range bots {
		if err := a.sweeper.Pauses.End(ctx, a.credential, bot); err != nil {
			a.log.Warn("could not end a pause; the next probe ends it", "err", err)
			return
		}
	}
	a.log.Warn("pause ended: a probe succeeded", "credential", a.credential, "bot", a.chat.Asked())
	if err := a.sweeper.Sweep(ctx); err != nil {
		a.log.Warn("could not run all parked tasks; the next sweep does", "err", err)
	}
}

// limitOrPause does what the outcome of a call means for other tasks: it cuts the rate, or pauses the credential or the bot.
// paused is true if the task meets a pause that its error alone does not begin.
func (a *calls) limitOrPause(ctx context.Context, err error) (paused bool) {
	if a.credential == "" {
		return false
	}
	e, ok := errors.AsType[*coze.Error](err)
	if (err == nil || ok && isReply(e)) && a.streaks.Heard(a.credential) && (err == nil || pause.Scope(e) == "") {
		a.endUnreachablePause(ctx)
	}
	if !ok {
		return false
	}
	a.noteCode(e)
	if e.Class == coze.ClassRate {
		if err := a.limit.Refused(ctx, a.permitted, a.credential, a.chat.Asked(), e); err != nil {
			a.log.Warn("could not cut the rate", "err", err)
		}
		return false
	}
	if pause.Unreachable(e) {
		if many := a.streaks.Missed(a.credential, a.began); many && e.Unreached {
			return a.beginPause(ctx, "", e)
		}
	}
	switch pause.Scope(e) {
	case coze.ScopeBot:
		a.beginPause(ctx, a.chat.Asked(), e)
	case coze.ScopeAccount:
		a.beginPause(ctx, "", e)
	}
	return false
}

// beginPause pauses a bot, or with "" the credential. It reports whether there is a pause now.
func (a *calls) beginPause(ctx context.Context, bot string, e *coze.Error) bool {
	if pause.Unreachable(e) && a.othersReachCoze(ctx) {
		return false
	}
	fresh, err := a.sweeper.Pauses.Begin(ctx, a.credential, bot, e, tellable(e.Message, a.cfg.Keys))
	if err != nil {
		a.log.Warn("could not pause", "err", err)
		return false
	}
	if fresh {
		if pause.Unreachable(e) {
			a.streaks.Began(a.credential)
		}
		first, _ := pause.ProbeTimes(e)
		a.log.Warn("paused: nothing more is asked until a probe gets through", "credential", a.credential, "bot", bot,
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
func (a *calls) othersReachCoze(ctx context.Context) bool {
	if !a.streaks.HasBegun(a.credential) {
		return false
	}
	_, stands, err := a.sweeper.Pauses.Get(ctx, pause.Key(a.credential, ""))
	if err != nil || stands {
		return false
	}
	a.log.Warn("other workers reach Coze and this one does not: taking no tasks for a while", "credential", a.credential, "for", pause.OthersReach)
	if len(a.cfg.Credentials) == 0 {
		a.gate.Hold(pause.OthersReach)
	}
	return true
}

// awaitPauseEnd lets a task wait for the end of a pause, and returns after how long asynq runs it again. A worker of one
// credential pauses its queues and puts the task back there, where a worker of another credential may take it. All other
// tasks are parked, because their queue also has tasks that can be asked.
func (a *calls) awaitPauseEnd(ctx context.Context, scope coze.Scope, queue, id string) (time.Duration, error) {
	if scope == coze.ScopeAccount && len(a.cfg.Credentials) == 0 {
		if err := a.sweeper.Pauses.List(ctx, pause.Key(a.credential, "")); err != nil {
			return 0, err
		}
		for _, queue := range a.gate.Queues {
			if _, err := a.sweeper.Queues.Pause(ctx, queue, a.credential); err != nil {
				return 0, err
			}
		}
		return backInQueue, nil
	}
	bot := ""
	if scope == coze.ScopeBot {
		bot = a.chat.Asked()
	}
	return pause.ParkedFor, a.sweeper.Pauses.Park(ctx, pause.Key(a.credential, bot), queue, id)
}

// backInQueue is how soon a task is back in its paused queue.
const backInQueue = time.Second

// answeredFor is how long Redis remembers that a bot has answered.
const answeredFor = 30 * 24 * time.Hour

func answeredKey(credential string) string { return "cozeq:answered:{" + credential + "}" }

// answeredOnce notes in Redis that a bot has answered, once in a process.
func (a *calls) answeredOnce(ctx context.Context) {
	if !a.streaks.Answered(a.credential, a.chat.Asked()) {
		return
	}
	_, err := a.cfg.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.SAdd(ctx, answeredKey(a.credential), a.chat.Asked())
		p.Expire(ctx, answeredKey(a.credential), answeredFor)
		return nil
	})
	if err != nil {
		a.log.Debug("could not note that the bot has answered", "err", err)
	}
}

// failedAlike returns an error that pauses the bot if all of its first questions failed in the same way, whatever the class;
// otherwise nil. A transient failure counts once a question has used up its attempts: a gateway that always answers 502
// would fail a whole file.
func (a *calls) failedAlike(ctx context.Context, v Verdict) *coze.Error {
	e, ok := errors.AsType[*coze.Error](v.Err)
	if !ok || v.Action != Fail || a.credential == "" || a.chat == nil || pause.Scope(e) != "" ||
		e.Class != coze.ClassPermanent && e.Class != coze.ClassTransient || !a.streaks.Fault(a.credential, a.chat.Asked(), e) {
		return nil
	}
	if a.cfg.Answered != nil && a.cfg.Answered() {
		return nil
	}
	if known, err := a.cfg.Redis.SIsMember(ctx, answeredKey(a.credential), a.chat.Asked()).Result(); err != nil || known {
		return nil
	}
	own := *e
	own.Scope = coze.ScopeBot
	own.Message = fmt.Sprintf("the first %d questions all failed so, and none was ever answered: %s", pause.AlikeMost, e.Message)
	return own.WithHint(e.Hint() + " Where all questions meet it, look at the settings and the bot first.")
}
