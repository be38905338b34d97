package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/results"
)

// putBack is the error that has asynq take a task up again later. One that is not a failure uses up no try.
type putBack struct {
	why     string
	after   time.Duration
	failure bool
}

func (e *putBack) Error() string { return e.why }

// Waits of an event that is put back through no fault of its receiver.
const (
	redisWait = 5 * time.Second
	keyWait   = time.Minute // for a process that has the key
)

// process handles one task of the queue: a look at whether the end has come, or a try to deliver.
func (s *Sender) process(ctx context.Context, t *asynq.Task) error {
	n, err := decodeNote(t.Payload())
	if t.Type() != TypeName || err != nil {
		return archive("a task of type %s that is no webhook of this version: %v", t.Type(), err)
	}
	failed, _ := asynq.GetRetryCount(ctx)
	event, err := s.event(ctx, n, failed)
	if err != nil {
		return s.noEvent(n, err)
	}
	if event.body == nil {
		s.watch.add(n.Kind, n.ID)
		return &putBack{why: "the " + string(n.Kind) + " has not ended yet", after: lookAfter(time.Since(n.CreatedAt.Time))}
	}
	to, err := n.target(s.store.Keys)
	if err != nil {
		return s.noEvent(n, err)
	}
	after, ok := s.hosts.enter(to.Host, time.Now())
	if !ok {
		return &putBack{why: "its receiver is busy with other events", after: after}
	}
	if failed == 0 {
		s.metrics.began(event.at, time.Now())
	}
	began := time.Now()
	a := s.try(ctx, n, to, event.body)
	took := time.Since(began)
	s.hosts.leave(to.Host, took, a, time.Now())
	s.metrics.tried(a, took)
	return s.settle(t, n, to, event.body, a, failed, took)
}

// event is what to send. After a failed try that is what was sent then: it was kept, so that all tries have the same body,
// and outlives the record, whose time may be over before the last try.
func (s *Sender) event(ctx context.Context, n *note, failed int) (ended, error) {
	if failed > 0 {
		if body, err := s.kept(n); err != nil || body != nil {
			return ended{body: body}, err
		}
	}
	return s.read(ctx, n)
}

func archive(format string, args ...any) error {
	return fmt.Errorf(format+" (%w)", append(args, asynq.SkipRetry)...)
}

// noEvent decides about an event that cannot be made, or not here.
func (s *Sender) noEvent(n *note, err error) error {
	sealed, encrypted := errors.AsType[*results.SealedError](err)
	age := time.Since(n.CreatedAt.Time)
	switch {
	case errors.Is(err, errUnknown) && age < grace:
		return &putBack{why: "there is no such " + string(n.Kind) + " yet", after: lookAfter(age)}
	case errors.Is(err, errUnknown):
		s.log.Warn("webhook not sent", "kind", n.Kind, "id", n.ID, "err", err)
		return archive("%w", err)
	case encrypted:
		s.log.Warn("webhook put off: this process cannot decrypt it", "kind", n.Kind, "id", n.ID, "err", sealed)
		return &putBack{why: sealed.Error(), after: keyWait}
	}
	if _, own := errors.AsType[*results.KeyError](err); own {
		s.log.Error("webhook not sent", "kind", n.Kind, "id", n.ID, "err", err)
		return archive("%w", err)
	}
	return &putBack{why: err.Error(), after: redisWait}
}

func (s *Sender) try(ctx context.Context, n *note, to *url.URL, body []byte) attempt {
	keys := s.client.keysOf(n.Tenant, n.Secret)
	switch {
	case s.client.secrets == nil:
		return attempt{outcome: unsigned, why: "there are no secrets in this process: set COZEQ_WEBHOOK_SECRETS_FILE"}
	case len(keys) == 0:
		return attempt{outcome: unsigned, why: "there is no secret " + n.Secret + " any more in COZEQ_WEBHOOK_SECRETS_FILE"}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.Timeout, fmt.Errorf("no answer within %v", s.cfg.Timeout))
	defer cancel()
	return s.client.post(ctx, to, keys, deliveryID(n.ID), body)
}

// settle tells asynq what becomes of the event after a try.
func (s *Sender) settle(t *asynq.Task, n *note, to *url.URL, body []byte, a attempt, failed int, took time.Duration) error {
	log := s.log.With("kind", n.Kind, "id", n.ID, "to", shown(to), "try", failed+1, "ms", took.Milliseconds())
	if a.outcome == delivered {
		log.Debug("webhook delivered")
		return nil
	}
	if failed == 0 || a.outcome == gone {
		if _, err := t.ResultWriter().Write([]byte(s.store.Keys.Seal(n.ID, sealBody, string(body)))); err != nil {
			log.Warn("could not keep a webhook's body: its next try builds it again", "err", err)
		}
	}
	switch {
	case a.outcome == gone:
		s.metrics.gaveUp()
		log.Warn("webhook given up: its receiver answered 410 Gone", "err", a.why)
		return archive("%s", a.why)
	case failed+1 >= Tries:
		s.metrics.gaveUp()
		log.Error("webhook given up after its last try: see the archived tasks of queue webhooks, it can be run again from the dashboard", "err", a.why)
		return archive("%s", a.why)
	}
	p := &putBack{why: a.why, after: waitAfter(failed+1, a.retryAfter), failure: true}
	log.Warn("webhook not delivered", "err", a.why, "again_in", p.after.Round(time.Second))
	return p
}

// retryDelay and isFailure are asynq's questions about an error of process. Its times are whole seconds, rounded down.
func retryDelay(n int, err error, _ *asynq.Task) time.Duration {
	if p, ok := errors.AsType[*putBack](err); ok {
		return p.after + time.Second - 1
	}
	if errors.Is(err, asynq.ErrLeaseExpired) {
		return time.Second
	}
	return waitAfter(n+1, 0) // a panic, or a cancel in the dashboard
}

func isFailure(err error) bool {
	if p, ok := errors.AsType[*putBack](err); ok {
		return p.failure
	}
	return !errors.Is(err, asynq.ErrLeaseExpired)
}
