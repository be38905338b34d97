package worker

import (
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/ratelimit"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Action is what happens to a task after an attempt.
type Action uint8

const (
	Done   Action = iota // it has its answer
	Retry                // it is asked again after a wait; an attempt is used up
	Later                // it waits and comes back; no attempt is used up
	Fail                 // it ends as failed
	Cancel               // it ends as canceled
	Expire               // it ends as expired
	Drop                 // another attempt has it: nothing may be written
)

var actionNames = [...]string{"done", "retry", "later", "fail", "cancel", "expire", "drop"}

func (a Action) String() string { return actionNames[a] }

// Verdict is how an attempt ended and what follows.
type Verdict struct {
	Action Action
	After  time.Duration // for Retry and Later: how long to wait
	Class  coze.Class    // empty for Done and for a task that is only given back
	Parked coze.Scope    // for Later: the scope of the pause whose end it waits for; "": none
	Err    error         // nil for Done
}

// Causes with which an attempt's context ends.
var (
	errShutdown  = errors.New("the worker shuts down")
	errCanceled  = errors.New("canceled on request")
	errDeadline  = errors.New("the task's time is up")
	errExpired   = errors.New("expired before it was asked")
	errTurn      = errors.New("waits for its turn in the conversation")
	errEmpty     = errors.New("the chat completed without an answer")
	errCollected = errors.New("its run has recorded this failure already: ask it again with run --retry-failed")
	errPanic     = errors.New("the handler panicked")
)

// How a task waits before it is asked again. The first two have full jitter: up to 1 s at first, then up to 60 s or 30 s.
// The others have little, as an early look is of no use.
var (
	retryWaits = backoff.Policy{First: 500 * time.Millisecond, Most: 30 * time.Second, Jitter: 1}
	rateWaits  = backoff.Policy{First: 500 * time.Millisecond, Most: 15 * time.Second, Jitter: 1} // a rate limit passes within seconds
	busyWaits  = backoff.Policy{First: time.Second, Most: 10 * time.Second, Jitter: 0.1}          // a chat within a minute or so
	keyWaits   = backoff.Policy{First: 2 * time.Second, Most: 15 * time.Second, Jitter: 0.1}      // for a worker that has the key
)

// Other waits.
const (
	redisWait = 2 * time.Second  // our own store failed; nothing to do with Coze
	fenceWait = 30 * time.Second // another attempt has the task, and should end within this time

	// busyLimit is how long a conversation may be busy with another chat: a workflow inside a chat may last 10 min.
	busyLimit = 12 * time.Minute

	// emptyTries is the most asks that completed chats without an answer may cost.
	emptyTries = 2
)

// history is what came before the attempt that is judged.
type history struct {
	attempts int           // asks that ended in anything but a wait, this one not counted
	budget   int           // asks allowed
	waits    int           // since the last ask that ended in anything else
	waiting  time.Duration // for a busy conversation
	codes    *coze.CodeTable
	paused   bool // for lack of a connection or a reply, after a failure that alone would begin no pause
}

// judge decides what an attempt's error means for its task. No other place does.
func judge(err error, h history) Verdict {
	v := Verdict{Err: err}
	var ask *coze.Error
	var bad *tasks.InvalidError
	var long *ratelimit.LongWaitError
	var paused *ratelimit.PausedError
	var key *results.KeyError
	var refused *results.Failure
	switch {
	case err == nil:
		v.Action = Done
	case errors.Is(err, record.ErrFenced):
		v.Action, v.After = Drop, fenceWait
	case errors.Is(err, errShutdown):
		v.Action = Later
	case errors.Is(err, errTurn):
		v.Action, v.After = Later, lane.WaitsAhead
	case errors.As(err, &long):
		v.Action, v.Class, v.After = Later, coze.ClassRate, long.After
	case errors.As(err, &paused):
		v.Action, v.Class, v.After, v.Parked = Later, paused.Class, pause.ParkedFor, paused.Scope
	case errors.Is(err, errCanceled):
		v.Action, v.Class = Cancel, coze.ClassCanceled
	case errors.Is(err, errExpired):
		v.Action, v.Class = Expire, coze.ClassExpired
	case errors.Is(err, errDeadline):
		v.Class = coze.ClassTimeout
		v.retry(h, h.budget)
	case errors.Is(err, errPanic), errors.Is(err, errCollected):
		v.Action, v.Class = Fail, coze.ClassPermanent
	case errors.Is(err, errGone):
		v.Class = coze.ClassTransient
		v.retry(h, h.budget)
	case errors.Is(err, errEmpty):
		v.Class = coze.ClassTransient
		v.retry(h, emptyTries)
	case keyMissing(err):
		v.Action, v.Class, v.After = Later, coze.ClassAuth, keyWaits.Wait(h.waits)
	case errors.As(err, &bad), errors.As(err, &key): // a damaged key is no outage: each try would meet it
		v.Action, v.Class = Fail, coze.ClassInvalid
	case errors.As(err, &refused): // by the producer: see tasks.Chat
		v.Action, v.Class = Fail, coze.Class(refused.Class)
	case errors.As(err, &ask):
		v.Class = ask.Class
		v.ask(ask, h)
	default:
		// Redis, or the journal: our own store has failed, not the task.
		v.Action, v.After = Later, redisWait
	}
	return v
}

// ask judges an error of Coze, or of the way to it.
func (v *Verdict) ask(e *coze.Error, h history) {
	if scope := pause.Scope(e); scope != "" {
		v.Action, v.After, v.Parked = Later, pause.ParkedFor, scope
		return
	}
	if h.paused {
		v.Action, v.After, v.Parked = Later, pause.ParkedFor, coze.ScopeAccount
		return
	}
	if unsent(e) {
		v.Action, v.After = Later, rateWaits.Wait(h.waits)
		return
	}
	switch e.Class {
	case coze.ClassRate:
		// The rate limiter decides how fast to ask. The task only comes back to it.
		v.Action, v.After = Later, max(e.RetryAfter, rateWaits.Wait(h.waits))
	case coze.ClassBusy:
		if h.waiting > busyLimit {
			v.Action = Fail
			return
		}
		v.Action, v.After = Later, max(e.RetryAfter, busyWaits.Wait(h.waits))
	case coze.ClassTransient, coze.ClassTruncated, coze.ClassTimeout, coze.ClassCanceled:
		// ClassCanceled is Coze's here: the chat was canceled there.
		tries := h.codes.Classify(e.Code, e.Status).Tries
		if e.Code == 0 || tries == 0 {
			tries = h.budget
		}
		v.retry(h, tries)
		if v.Action == Retry {
			v.After = max(v.After, e.RetryAfter)
		}
	default: // permanent, action, invalid
		v.Action = Fail
	}
}

// unsent reports whether a question did not get as far as Coze: its name was not resolved, its connection refused. That
// costs no attempt, as a network that is down for a minute must not fail a batch.
func unsent(e *coze.Error) bool {
	return e.Class == coze.ClassTransient && e.Zone == coze.ZoneRefused && e.Code == 0 && e.Status == 0 && e.Err != nil
}

func (v *Verdict) retry(h history, tries int) {
	if h.attempts+1 >= min(tries, h.budget) {
		v.Action = Fail
		return
	}
	v.Action, v.After = Retry, retryWaits.Wait(h.attempts)
}

// comesBack reports whether asynq must bring the task back. A task that a shutdown interrupts is put back whatever its
// handler returns, and a dropped one has another handler.
func (v Verdict) comesBack() bool {
	return v.Action == Retry || v.Action == Later && !errors.Is(v.Err, errShutdown)
}

// asked reports whether an ask has ended in anything but a wait. A question that our own checks refuse was never asked.
func (v Verdict) asked() bool {
	return v.Action == Done || v.Action == Retry || v.Action == Fail && v.Class != coze.ClassInvalid
}
