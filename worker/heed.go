package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/asynqx"
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
	permitted  permit       // the last one
	probe      bool         // the chat shows whether a pause is over
}

// throttle is what the attempts of a process share on their way to Coze: the limits and pauses of its credentials, and what
// the process has met with them.
type throttle struct {
	cfg         *Config
	codes       *coze.CodeTable
	gate        *asynqx.Gate
	limit       *limiter
	pauses      pauses
	queuePauses asynqx.QueuePauses
	streaks     streaks
	unknown     unknownCodes
	missingKeys missingKeys

	sweepPauses func(context.Context) error // ends the waits for pauses that are over
	askHint     func(*coze.Client, string)  // asks for the rate of a credential's plan
}

// permit takes leave for one call that looks a chat up.
func (a *calls) permit(ctx context.Context) (err error) {
	if a.credential == "" { // a cancellation that came before anything else
		if err := a.identify(ctx); err != nil {
			return err
		}
	}
	a.permitted, err = a.limit.take(ctx, forPoll, a.credential, a.chat.BotID)
	return err
}

func (a *calls) identify(ctx context.Context) (err error) {
	a.credential, err = a.coze.Identity(ctx)
	return err
}

// permitToAsk takes a permit for a chat in two steps: draw sends the request along with other commands, await waits for
// the permit.
func (a *calls) permitToAsk() (draw func(context.Context, redis.Cmdable), await func(context.Context) error) {
	what := forChat
	if a.probe {
		what = forPoll // asked again within one attempt: the pause that it probes holds up the others
	}
	q := a.limit.request(what, a.credential, a.chat.BotID)
	var began time.Time
	var drawn *redis.Cmd
	draw = func(ctx context.Context, p redis.Cmdable) { began, drawn = time.Now(), q.send(ctx, p) }
	return draw, func(ctx context.Context) (err error) {
		a.permitted, err = q.await(ctx, drawn)
		if far, ok := errors.AsType[*farError](err); ok && len(a.cfg.Credentials) == 0 {
			a.gate.Hold(min(far.after, farHold)) // the others in the queue are as far away
		}
		if err != nil {
			return err
		}
		a.probe = a.probe || a.permitted.probe
		if time.Since(began) > hintAfter {
			a.askHint(a.coze, a.credential)
		}
		return nil
	}
}

// permitGiven names what became of a wait for a permit. A permit that is far away, and a pause, are no failures.
func permitGiven(err error) string {
	if err == nil {
		return "given"
	}
	if _, ok := errors.AsType[*farError](err); ok {
		return "far"
	}
	if _, ok := errors.AsType[*pausedError](err); ok {
		return "paused"
	}
	return "error"
}

// farHold is the longest that a process takes no tasks because permits are far.
const farHold = 5 * time.Second

// probed ends a pause whose probe has got through: an answer, or a chat that failed
// for a reason of its own. That a chat was made is not enough, as a quota that is used
// up may show only then. A pause for the way to Coze ends with any word of Coze.
func (a *calls) probed(ctx context.Context, err error) {
	if !a.probe {
		return
	}
	e, ok := errors.AsType[*coze.Error](err)
	answered := err == nil || ok && e.Zone == coze.ZoneCreated && e.Ended && pauseScope(e) == ""
	switch {
	case answered:
		a.goOn(ctx, "", a.chat.BotID)
	case ok && isWord(e) && pauseScope(e) == "":
		a.wayOpen(ctx)
		a.otherFault(ctx, e)
	}
}

// otherFault ends the bot's pause if it is for questions that all failed alike, and the
// probe's failed with another code.
func (a *calls) otherFault(ctx context.Context, e *coze.Error) {
	p, ok, err := a.pauses.get(ctx, pauseKey(a.credential, a.chat.BotID))
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
	p, ok, err := a.pauses.get(ctx, pauseKey(a.credential, ""))
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
		if err := a.pauses.end(ctx, a.credential, bot); err != nil {
			a.log.Warn("could not end a pause, the next probe will", "err", err)
			return
		}
	}
	a.log.Warn("asking again: Coze has taken a probe", "credential", a.credential, "bot", a.chat.BotID)
	if err := a.sweepPauses(ctx); err != nil {
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
	if (err == nil || ok && isWord(e)) && a.streaks.heard(a.credential) && (err == nil || pauseScope(e) == "") {
		a.wayOpen(ctx)
	}
	if !ok {
		return false
	}
	a.noteCode(e)
	if e.Class == coze.ClassRate {
		if err := a.limit.refused(ctx, a.permitted, a.credential, a.chat.BotID, e); err != nil {
			a.log.Warn("could not slow down", "err", err)
		}
		return false
	}
	if ofWay(e) {
		if many := a.streaks.missed(a.credential, a.began); many && e.Unreached {
			return a.beginPause(ctx, "", e)
		}
	}
	switch pauseScope(e) {
	case coze.ScopeBot:
		a.beginPause(ctx, a.chat.BotID, e)
	case coze.ScopeAccount:
		a.beginPause(ctx, "", e)
	}
	return false
}

// beginPause pauses a bot, or with "" the credential, and reports whether that stands.
func (a *calls) beginPause(ctx context.Context, bot string, e *coze.Error) bool {
	if ofWay(e) && a.othersGetThere(ctx) {
		return false
	}
	fresh, err := a.pauses.begin(ctx, a.credential, bot, e, tellable(e.Message, a.cfg.Keys))
	if err != nil {
		a.log.Warn("could not pause", "err", err)
		return false
	}
	if fresh {
		if ofWay(e) {
			a.streaks.paused(a.credential)
		}
		first, _ := probeTimes(e)
		a.log.Warn("paused: nothing more is asked until a probe gets through", "credential", a.credential, "bot", bot,
			"class", string(e.Class), "code", e.Code, "err", e, "hint", e.Hint(), "next_probe", time.Now().Add(first))
	}
	return true
}

// othersGetThere reports whether it is this process alone that does not get to Coze: it
// has begun a pause for that and not heard Coze since, yet the pause is over, so a probe
// of another process got through. Instead of pausing for all again it takes no tasks
// for a while. Only who began the pause anew has noted that (streaks.paused), and only
// after: of the attempts that fail together, those that come before that begin it with
// him, and those that come after find it standing.
func (a *calls) othersGetThere(ctx context.Context) bool {
	if !a.streaks.hasPaused(a.credential) {
		return false
	}
	_, stands, err := a.pauses.get(ctx, pauseKey(a.credential, ""))
	if err != nil || stands {
		return false
	}
	a.log.Warn("others get to Coze, this process does not: it takes no tasks for a while", "credential", a.credential, "for", othersReach)
	if len(a.cfg.Credentials) == 0 {
		a.gate.Hold(othersReach)
	}
	return true
}

// pauseScope is what a failure pauses, "" for nothing.
func pauseScope(e *coze.Error) coze.Scope {
	switch {
	case e.Scope == coze.ScopeBot && e.Class != coze.ClassRate:
		return coze.ScopeBot
	case e.Class == coze.ClassAuth, e.Class == coze.ClassQuota, e.Class == coze.ClassEndpoint:
		return coze.ScopeAccount
	}
	return ""
}

// ofWay reports whether a failure is of the way to Coze: nothing of Coze's has answered.
func ofWay(e *coze.Error) bool { return e.Class == coze.ClassEndpoint || e.Unreached }

// awaitPauseEnd has a task wait for the end of a pause, and returns after how long
// asynq brings it back. A worker of one credential pauses its queues and puts the task
// back there, where a worker of another credential may take it. All other tasks are
// parked: the queue also has tasks that can be asked, or they are for this credential
// alone.
func (a *calls) awaitPauseEnd(ctx context.Context, scope coze.Scope, queue, id string) (time.Duration, error) {
	if scope == coze.ScopeAccount && len(a.cfg.Credentials) == 0 {
		for _, queue := range a.gate.Queues {
			if _, err := a.queuePauses.Pause(ctx, queue, a.credential); err != nil {
				return 0, err
			}
		}
		return backInQueue, nil
	}
	bot := ""
	if scope == coze.ScopeBot {
		bot = a.chat.BotID
	}
	return asideWait, a.pauses.stepAside(ctx, pauseKey(a.credential, bot), queue, id)
}

// backInQueue is how soon a task is back in its paused queue.
const backInQueue = time.Second
