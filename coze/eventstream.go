package coze

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"sync/atomic"
	"time"
)

// eventStream is a reply of server-sent events while it is read.
type eventStream struct {
	ctx      context.Context // the request's; the body ends with it, and its cause says why
	cancel   context.CancelCauseFunc
	exchange *exchange
	body     idleTimeout
	frames   *decoder
	used     atomic.Bool // Events was called
}

// start sends a call and returns when the headers of its stream are there. A good reply that is not a stream is returned
// instead, as its envelope. After an error, an *Error, and after an envelope, there is nothing to close.
func (s *eventStream) start(ctx context.Context, c *Client, a call) (*envelope, error) {
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	timer := time.AfterFunc(c.idle(), func() { s.cancel(ErrIdle) })
	s.body = idleTimeout{timer: timer, idle: c.idle()}
	env, err := s.send(c, a)
	if s.exchange.refusedToken(err) {
		if err = s.exchange.renew(s.ctx, err); err == nil {
			env, err = s.send(c, a)
		}
	}
	if err != nil || env != nil {
		timer.Stop()
		s.cancel(nil)
		return env, err
	}
	s.body.stop()
	s.body.again = true
	s.frames = newDecoder(&s.body, c.maxEvent())
	return nil, nil
}

func (s *eventStream) send(c *Client, a call) (*envelope, error) {
	x, resp, err := c.send(s.ctx, a)
	if err != nil {
		return nil, err
	}
	s.exchange = x
	media := mediaType(resp)
	if resp.StatusCode < 300 && resp.StatusCode != http.StatusNoContent && (media == "text/event-stream" || media == "") {
		s.body.ReadCloser = resp.Body
		return nil, nil
	}
	defer resp.Body.Close()
	return x.reply(s.ctx, resp)
}

// events yields what next returns, once, until an error or the last event. Then the stream is closed.
func events[E any](s *eventStream, op string, next func() (E, error), last func(E) bool) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		if s.used.Swap(true) {
			var none E
			yield(none, invalid(op, "a stream's events can be read once"))
			return
		}
		defer func() {
			_ = s.Close() // nothing is left to read
			s.frames.release()
		}()
		for {
			event, err := next()
			s.body.stop() // the time in yield is not the server's silence
			if !yield(event, err) || err != nil || last(event) {
				return
			}
			s.body.again = true
		}
	}
}

// LogID is Coze's id of the request, "" if it gave none.
func (s *eventStream) LogID() string { return s.exchange.logID }

// Close ends the stream; what it is of continues at Coze. It may be called at any time and more than once; reading events
// after it gives an error of class canceled.
func (s *eventStream) Close() error {
	s.cancel(nil)
	s.body.stop()
	return s.body.Close()
}

// cut makes e the failure of a stream that ended before its last event. heard: an event of what it is about has come.
func (e *Error) cut(ctx context.Context, heard bool, err error) *Error {
	if class, cause := interrupted(ctx); class != "" {
		e.Class, e.Err = class, cause
		return e
	}
	e.Class, e.Err = ClassTruncated, ErrTruncated
	if !heard {
		e.Class = ClassTransient // the same as no reply
	}
	switch {
	case errors.Is(err, ErrEventTooLarge), errors.Is(err, ErrAnswerTooLarge):
		e.Class, e.Err, e.hint = ClassTruncated, err, hintTooLarge.EN
	case !errors.Is(err, io.EOF):
		e.Err = fmt.Errorf("%w: %w", ErrTruncated, err)
	}
	return e
}
