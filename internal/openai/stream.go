package openai

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/sse"
	"github.com/cozeq/cozeq/internal/watch"
	"github.com/cozeq/cozeq/results"
)

// sink writes an answer as it comes, in the form of one of the APIs.
type sink interface {
	begin() error // the headers and what comes before the text; a second call does nothing
	reasoning(piece string) error
	text(piece string) error
	end(result *results.Result) error
	fail(e *Error) // nothing comes after it, and no mark of a good end
	close()
}

// writer is what the sinks have in common. The first error is kept, and nothing is sent behind it: the client is gone.
type writer struct {
	w   http.ResponseWriter
	r   *http.Request
	out *sse.Writer // nil before the headers
	err error
}

// start sends the headers. fresh is false if they were sent before, or cannot be.
func (s *writer) start() (fresh bool) {
	if s.out != nil || s.err != nil {
		return false
	}
	s.out, s.err = sse.Start(s.w, s.r)
	return s.err == nil
}

func (s *writer) encoded(v any, send func([]byte) error) {
	if s.err != nil {
		return
	}
	raw, err := messages.Encode(v)
	if err == nil {
		err = send(raw)
	}
	s.err = err
}

func (s *writer) close() {
	if s.out != nil {
		s.out.Close()
	}
}

// follower writes the answer of one task to a sink.
type follower struct {
	h         *Handler
	r         *http.Request
	id        string
	sink      sink
	wait      bool   // nothing is sent that may be taken back
	guard     *guard // nil: somebody may come back for the answer, and a pause is waited for
	atOnce    bool   // the first event begins the stream, whatever it says; before it an error has a status
	answer    answer
	thought   answer    // the reasoning
	rethought bool      // it began anew with other words: what was sent of it stands, and no more is sent
	gap       bool      // pieces are missing: the rest comes with the end
	began     time.Time // of the request; zero: its first piece was sent, or is none of a new answer

	mu   sync.Mutex // of the above, between what the task tells and what the clock does
	left fate
}

// fate is what a stream leaves behind.
type fate int

const (
	going fate = iota // it is not over
	done              // the client knows how the task ended, or why it is left alone
	gone              // the client went away first
	stuck             // the client was told that the task cannot be asked now
)

// follow writes to the end of the task, or of the request. It writes a piece where it hears it: to hand it to another
// goroutine costs as much as to write it.
func (f *follower) follow() fate {
	ctx, cancel := f.h.untilClose(f.r)
	var clock sync.WaitGroup
	defer clock.Wait() // it writes to the sink
	defer cancel()
	clock.Go(func() {
		defer cancel()
		f.clock(ctx)
	})
	for e, err := range f.h.Hub.Watch(ctx, f.id, "") {
		if left := f.step(func() fate { return f.told(ctx, e, err) }); left != going {
			return left
		}
	}
	return done // behind an end
}

// step does one thing at a time, until one ends the stream.
func (f *follower) step(do func() fate) fate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == going {
		f.left = do()
	}
	return f.left
}

// clock does what is due while the task tells nothing, until ctx or the stream ends.
func (f *follower) clock(ctx context.Context) {
	begin := time.NewTimer(f.h.HeadersAfter)
	defer begin.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for left := going; left == going; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			left = f.step(func() fate {
				err := f.guard.look(ctx)
				if err == nil {
					return going
				}
				f.sink.fail(errorOf(err))
				return stuck
			})
		case <-begin.C:
			left = f.step(func() fate {
				if f.sink.begin() != nil {
					return gone
				}
				return going
			})
		}
	}
}

func (f *follower) told(ctx context.Context, e watch.Event, err error) fate {
	if err != nil {
		return f.broken(ctx, err)
	}
	if err = f.begin(); err == nil {
		err = f.write(e)
	}
	stop, refused := errors.AsType[*Error](err)
	switch {
	case refused:
		f.sink.fail(stop)
		if stop == errRestarted {
			return done // the task goes on: its answer can be retrieved
		}
		return stuck
	case err != nil:
		return gone
	case e.Type == watch.End:
		return done
	}
	return going
}

func (f *follower) begin() error {
	if !f.atOnce {
		return nil
	}
	return f.sink.begin()
}

// write hands an event to the sink. An *Error ends the stream.
func (f *follower) write(e watch.Event) error {
	switch e.Type {
	case watch.Status:
		return f.guard.see(e)
	case watch.Reset:
		f.answer.restart()
		f.thought.restart()
	case watch.Gap:
		f.gap = true
	case watch.Delta:
		if f.wait || f.gap {
			return nil
		}
		return f.text(f.answer.add(e.Text))
	case watch.Reasoning:
		if f.wait || f.gap {
			return nil
		}
		return f.reasoning(f.thought.add(e.Text))
	case watch.End:
		return f.end(e.Result)
	}
	return nil
}

func (f *follower) text(fresh string, err error) error {
	if err != nil || fresh == "" {
		return err
	}
	f.measure()
	return f.sink.text(fresh)
}

func (f *follower) reasoning(fresh string, err error) error {
	f.rethought = f.rethought || err != nil
	if f.rethought || fresh == "" {
		return nil
	}
	f.measure()
	return f.sink.reasoning(fresh)
}

// measure counts the time to the first piece.
func (f *follower) measure() {
	if !f.began.IsZero() {
		f.h.FirstDelta(time.Since(f.began))
		f.began = time.Time{}
	}
}

func (f *follower) end(r *results.Result) error {
	if finish(r) == "" { // an error is an error, whatever came before it
		return f.sink.end(r)
	}
	f.began = time.Time{} // the rest is no first piece
	if err := f.reasoning(f.thought.end(r.Reasoning)); err != nil {
		return err
	}
	if err := f.text(f.answer.end(r.Answer)); err != nil {
		return err
	}
	return f.sink.end(r)
}

// broken ends a stream whose task has not ended.
func (f *follower) broken(ctx context.Context, err error) fate {
	switch {
	case f.r.Context().Err() != nil:
		return gone
	case ctx.Err() != nil:
		f.sink.fail(errClosing)
	default:
		f.h.logFault(f.r, f.id, err)
		f.sink.fail(errorOf(err))
	}
	return done
}

// events watches a task in a goroutine, which ends with ctx. The channel is closed behind the end of the task, or if
// watching failed; failed then has why.
func (h *Handler) events(ctx context.Context, id string) (<-chan watch.Event, <-chan error) {
	events, failed := make(chan watch.Event), make(chan error, 1)
	go func() {
		defer close(events)
		for e, err := range h.Hub.Watch(ctx, id, "") {
			if err != nil {
				failed <- err
				return
			}
			select {
			case events <- e:
			case <-ctx.Done():
				failed <- context.Cause(ctx)
				return
			}
		}
		failed <- results.ErrClosed // nobody reads it behind an end
	}()
	return events, failed
}

// errRestarted is an answer that began anew with other words than those that were sent. OpenAI's APIs cannot take words back.
var errRestarted = &Error{
	Status: http.StatusBadGateway, Code: "answer_restarted", Retry: RetryNo,
	Message: "the answer began anew with other words: what came is not the answer. The whole answer is under the id of the task, " +
		`and with {"cozeq": {"on_reset": "wait"}} nothing is sent before it is whole`,
}
