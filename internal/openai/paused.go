package openai

import (
	"context"
	"net/http"
	"time"

	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/watch"
	"github.com/cozeq/cozeq/results"
)

// lookEvery is how often a request that waits looks whether its task is held.
const lookEvery = 2 * time.Second

// guard ends the wait for a task that is not asked before somebody acts: sends another token or money, publishes the bot,
// resumes the queue. A request that comes while the pause lasts is refused by package submit; this is for those that were
// in the queue when it began. A nil guard ends nothing.
type guard struct {
	held   func(ctx context.Context) (*pause.Hold, error)
	record func(ctx context.Context) (*results.Result, error)
}

func (g *guard) see(e watch.Event) error {
	if g == nil {
		return nil
	}
	return refused(e.Status, e.Why)
}

// refused is the error for a task that was put back into its queue until somebody acts.
func refused(status results.Status, why *results.Failure) error {
	if status == results.Waiting && why != nil && needsSomebody(why.Class) {
		return failed(why)
	}
	return nil
}

// look is called now and then. The record decides: a task that runs may be the probe, or the one that Coze has just refused.
func (g *guard) look(ctx context.Context) error {
	if g == nil {
		return nil
	}
	held, err := g.held(ctx)
	if err != nil || held == nil || held.Due || held.Queue == "" && !needsSomebody(held.Class) {
		return nil // the wait goes on, and ends with an error of its own if Redis is away
	}
	r, err := g.record(ctx)
	if err != nil || r.Status != results.Queued && r.Status != results.Waiting {
		return nil
	}
	if err := refused(r.Status, r.Error); err != nil {
		return err
	}
	return heldError(held)
}

// needsSomebody reports whether a failure of this class stays until somebody acts. Other waits pass by themselves.
func needsSomebody(class string) bool {
	return class == "auth" || class == "quota" || class == "permanent" // permanent: a bot that is not there is paused
}

// heldError is the error for a question that is not asked now.
func heldError(h *pause.Hold) *Error {
	e := &Error{Message: h.Reason(), Retry: RetryYes, RetryAfter: maxRetryAfter}
	if h.Queue == "" {
		e = failed(&results.Failure{Class: h.Class, Code: h.Code, Message: h.Reason(), Hint: h.Hint, LogID: h.LogID})
		if e.Status == http.StatusNotFound {
			return e
		}
		e.RetryAfter = max(time.Until(h.NextProbe), time.Second)
	}
	e.Status = http.StatusServiceUnavailable
	if !needsSomebody(h.Class) {
		e.Type, e.Code, e.Retry = typeServer, "paused", RetryYes
	}
	return e
}
