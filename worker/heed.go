package worker

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
)

// permit takes leave for one call that looks a chat up.
func (a *attempt) permit(ctx context.Context) (err error) {
	if a.credential == "" { // a cancellation that came before anything else
		if err := a.identify(ctx); err != nil {
			return err
		}
	}
	a.permitted, err = a.limit.take(ctx, forPoll, a.credential, a.chat.BotID)
	return err
}

func (a *attempt) identify(ctx context.Context) (err error) {
	a.credential, err = a.coze.Identity(ctx)
	return err
}

// asking notes that the question is about to be sent and takes a permit for it, in one
// round trip. Where it had to wait for the permit it is noted again when it is sent: see
// note.
func (a *attempt) asking(ctx context.Context, conversation string) error {
	// The journal first: a record that says "asked" without a journal that does
	// would be believed only by a process that still has the record.
	if err := a.progress(ctx, conversation, "", time.Now()); err != nil {
		return err
	}
	began := time.Now()
	a.noted = began
	what := forChat
	if a.probe {
		what = forPoll // asked anew within one attempt: the pause it probes holds up the others
	}
	q := a.limit.request(what, a.credential, a.chat.BotID)
	var drawn *redis.Cmd
	if err := a.rec.Asking(ctx, conversation, func(p redis.Cmdable) { drawn = q.send(ctx, p) }); err != nil {
		return err
	}
	var err error
	a.permitted, err = q.await(ctx, drawn)
	a.spans.permit(began, err)
	if err != nil {
		a.notAsked(ctx, conversation)
		if far, ok := errors.AsType[*farError](err); ok && len(a.cfg.Credentials) == 0 {
			a.gate.hold(min(far.after, farHold)) // the others in the queue are as far away
		}
		return err
	}
	a.cfg.Metrics.permitted(time.Since(began))
	a.probe = a.probe || a.permitted.probe
	if time.Since(began) > hintAfter {
		a.askHint(a.coze, a.credential)
	}
	return nil
}

// notAsked takes back that the question is about to be sent, or was: Coze has not
// taken it, and nobody need look for it.
func (a *attempt) notAsked(ctx context.Context, conversation string) {
	a.rec.AskedAt = time.Time{}
	if err := a.progress(ctx, conversation, "", time.Time{}); err != nil {
		a.log.Warn("could not note in the journal that a question was not taken: it will be looked for", "err", err)
	}
}

// farHold is the longest that a process takes no tasks because permits are far.
const farHold = 5 * time.Second

// probed ends a pause whose probe has got through: an answer, or a chat that failed
// for a reason of its own. That a chat was made is not enough, as a quota that is used
// up may show only then.
func (a *attempt) probed(ctx context.Context, err error) {
	if !a.probe {
		return
	}
	e, ok := errors.AsType[*coze.Error](err)
	if err != nil && (!ok || e.Zone != coze.ZoneCreated || !e.Ended || pauseScope(e) != "") {
		return
	}
	for _, bot := range []string{"", a.chat.BotID} {
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

// heed draws from what Coze said what concerns more than this task: it slows the
// limiter down, or pauses the credential or the bot.
func (a *attempt) heed(ctx context.Context, err error) {
	e, ok := errors.AsType[*coze.Error](err)
	if !ok || a.credential == "" {
		return
	}
	a.noteCode(e)
	if e.Class == coze.ClassRate {
		if err := a.limit.refused(ctx, a.permitted, a.credential, a.chat.BotID, e); err != nil {
			a.log.Warn("could not slow down", "err", err)
		}
		return
	}
	scope := pauseScope(e)
	if scope == "" {
		return
	}
	bot := ""
	if scope == coze.ScopeBot {
		bot = a.chat.BotID
	}
	fresh, err := a.pauses.begin(ctx, a.credential, bot, e, a.tellable(e.Message))
	if err != nil {
		a.log.Warn("could not pause", "err", err)
		return
	}
	if fresh {
		a.log.Warn("paused: nothing more is asked until a probe gets through", "credential", a.credential, "bot", bot,
			"class", string(e.Class), "code", e.Code, "err", e, "hint", e.Hint(), "next_probe", time.Now().Add(probeFirst))
	}
	if bot == "" && len(a.cfg.Credentials) == 0 {
		for _, queue := range a.gate.queues {
			if err := a.queuePauses.pause(ctx, queue, a.credential); err != nil {
				a.log.Warn("could not pause a queue", "err", err)
			}
		}
	}
}

// pauseScope is what a failure pauses, "" for nothing.
func pauseScope(e *coze.Error) coze.Scope {
	switch {
	case e.Scope == coze.ScopeBot && e.Class != coze.ClassRate:
		return coze.ScopeBot
	case e.Class == coze.ClassAuth, e.Class == coze.ClassQuota:
		return coze.ScopeAccount
	}
	return ""
}

// stepAside lists the task with those who wait for the end of a pause.
func (a *attempt) stepAside(ctx context.Context, scope coze.Scope) error {
	bot := ""
	if scope == coze.ScopeBot {
		bot = a.chat.BotID
	}
	return a.pauses.stepAside(ctx, pauseKey(a.credential, bot), a.rec.Result.Queue, a.id)
}
