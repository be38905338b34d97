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

// probed ends a pause whose probe has got through: an answer, or a chat that failed
// for a reason of its own. That a chat was made is not enough, as a quota that is used
// up may show only then. A pause for the way to Coze ends with any word of Coze.
func (a *calls) probed(ctx context.Context, err error) {
	if !a.probe {
		return
	}
	e, ok := errors.AsType[*coze.Error](err)
	answered := err == nil || ok && e.Zone == coze.ZoneCreated && e.Ended && pause.Scope(e) == ""
	switch {
	case answered:
		a.goOn(ctx, "", a.chat.BotID)
	case ok && isWord(e) && pause.Scope(e) == "":
		a.wayOpen(ctx)
		a.otherFault(ctx, e)
	}
}

// otherFault ends the bot's pause if it is for questions that all failed alike, and the
// probe's failed with another code.
func (a *calls) otherFault(ctx context.Context, e *coze.Error) {
	p, ok, err := a.sweeper.Pauses.Get(ctx, pause.Key(a.credential, a.chat.BotID))
	if err == nil && ok && p.Class == string(coze.ClassPermanent) && p.Code != e.Code {
		a.goOn(ctx, a.chat.BotID)
	}
}

// isWord reports whether an error is Coze's word, so that the way there is open.
func isWord(e *coze.Error) bool {
	return e.Class != coze.ClassEndpoint && (e.Code != 0 || e.Zone == coze.ZoneCreated)
}

// wayOpen ends the credential's pause if it is one for the way to Coze.
func (a *calls) wayOpen(ctx context.Context) {
	p, ok, err := a.sweeper.Pauses.Get(ctx, pause.Key(a.credential, ""))
	if err != nil {
		a.log.Warn("could not look whether to end a pause, the next probe will", "err", err)
		return
	}
	if ok && p.OfWay() {
		a.goOn(ctx, "")
	}
}

// goOn ends the pauses of these bots; "" is the whole credential's.
func (a *calls) goOn(ctx context.Context, bots ...string) {
	for _, bot := range bots {
		if err := a.sweeper.Pauses.End(ctx, a.credential, bot); err != nil {
			a.log.Warn("could not end a pause, the next probe will", "err", err)
			return
		}
	}
	a.log.Warn("asking again: Coze has taken a probe", "credential", a.credential, "bot", a.chat.BotID)
	if err := a.sweeper.Sweep(ctx); err != nil {
		a.log.Warn("could not bring back all who waited, will try again", "err", err)
	}
}

// heed draws from what Coze said, or the way there, what concerns more than this task:
// it slows the limiter down, or pauses the credential or the bot. paused tells that
// the task meets a pause although its error alone begins none.
func (a *calls) heed(ctx context.Context, err error) (paused bool) {
	if a.credential == "" {
		return false
	}
	e, ok := errors.AsType[*coze.Error](err)
	if (err == nil || ok && isWord(e)) && a.streaks.Heard(a.credential) && (err == nil || pause.Scope(e) == "") {
		a.wayOpen(ctx)
	}
	if !ok {
		return false
	}
	a.noteCode(e)
	if e.Class == coze.ClassRate {
		if err := a.limit.Refused(ctx, a.permitted, a.credential, a.chat.BotID, e); err != nil {
			a.log.Warn("could not slow down", "err", err)
		}
		return false
	}
	if pause.OfWay(e) {
		if many := a.streaks.Missed(a.credential, a.began); many && e.Unreached {
			return a.beginPause(ctx, "", e)
		}
	}
	switch pause.Scope(e) {
	case coze.ScopeBot:
		a.beginPause(ctx, a.chat.BotID, e)
	case coze.ScopeAccount:
		a.beginPause(ctx, "", e)
	}
	return false
}

// beginPause pauses a bot, or with "" the credential, and reports whether that stands.
func (a *calls) beginPause(ctx context.Context, bot string, e *coze.Error) bool {
	if pause.OfWay(e) && a.othersGetThere(ctx) {
		return false
	}
	fresh, err := a.sweeper.Pauses.Begin(ctx, a.credential, bot, e, tellable(e.Message, a.cfg.Keys))
	if err != nil {
		a.log.Warn("could not pause", "err", err)
		return false
	}
	if fresh {
		if pause.OfWay(e) {
			a.streaks.Began(a.credential)
		}
		first, _ := pause.ProbeTimes(e)
		a.log.Warn("paused: nothing more is asked until a probe gets through", "credential", a.credential, "bot", bot,
			"class", string(e.Class), "code", e.Code, "err", e, "hint", e.Hint(), "next_probe", time.Now().Add(first))
	}
	return true
}

// othersGetThere reports whether it is this process alone that does not get to Coze: it
// has begun a pause for that and not heard Coze since, yet the pause is over, so a probe
// of another process got through. Instead of pausing for all again it takes no tasks
// for a while. Only who began the pause anew has noted that (Streaks.Began), and only
// after: of the attempts that fail together, those that come before that begin it with
// him, and those that come after find it standing.
func (a *calls) othersGetThere(ctx context.Context) bool {
	if !a.streaks.HasBegun(a.credential) {
		return false
	}
	_, stands, err := a.sweeper.Pauses.Get(ctx, pause.Key(a.credential, ""))
	if err != nil || stands {
		return false
	}
	a.log.Warn("others get to Coze, this process does not: it takes no tasks for a while", "credential", a.credential, "for", pause.OthersReach)
	if len(a.cfg.Credentials) == 0 {
		a.gate.Hold(pause.OthersReach)
	}
	return true
}

// awaitPauseEnd has a task wait for the end of a pause, and returns after how long
// asynq brings it back. A worker of one credential pauses its queues and puts the task
// back there, where a worker of another credential may take it. All other tasks are
// parked: the queue also has tasks that can be asked, or they are for this credential
// alone.
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
		bot = a.chat.BotID
	}
	return pause.ParkedFor, a.sweeper.Pauses.Park(ctx, pause.Key(a.credential, bot), queue, id)
}

// backInQueue is how soon a task is back in its paused queue.
const backInQueue = time.Second

// answeredFor is how long Redis remembers that a bot has answered.
const answeredFor = 30 * 24 * time.Hour

func answeredKey(credential string) string { return "cozeq:answered:{" + credential + "}" }

// answeredOnce has Redis remember that a bot has answered, once in a process.
func (a *calls) answeredOnce(ctx context.Context) {
	if !a.streaks.Answered(a.credential, a.chat.BotID) {
		return
	}
	_, err := a.cfg.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.SAdd(ctx, answeredKey(a.credential), a.chat.BotID)
		p.Expire(ctx, answeredKey(a.credential), answeredFor)
		return nil
	})
	if err != nil {
		a.log.Debug("could not note that the bot has answered", "err", err)
	}
}

// failedAlike makes a pause of the bot out of a failure that all of its first questions ended with, whatever the class;
// nil where it is none. A fault that passes counts once a question has used its attempts up: a gateway that answers 502
// would fail a whole file.
func (a *calls) failedAlike(ctx context.Context, v Verdict) *coze.Error {
	e, ok := errors.AsType[*coze.Error](v.Err)
	if !ok || v.Action != Fail || a.credential == "" || a.chat == nil || pause.Scope(e) != "" ||
		e.Class != coze.ClassPermanent && e.Class != coze.ClassTransient || !a.streaks.Fault(a.credential, a.chat.BotID, e) {
		return nil
	}
	if a.cfg.Answered != nil && a.cfg.Answered() {
		return nil
	}
	if known, err := a.cfg.Redis.SIsMember(ctx, answeredKey(a.credential), a.chat.BotID).Result(); err != nil || known {
		return nil
	}
	own := *e
	own.Scope = coze.ScopeBot
	own.Message = fmt.Sprintf("the first %d questions all failed so, and none was ever answered: %s", pause.AlikeMost, e.Message)
	return own.WithHint(e.Hint() + " Where all questions meet it, look at the settings and the bot first.")
}
