package openai

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/internal/watch"
	"github.com/cozeq/cozeq/results"
)

// requestID is the header by which the SDKs know a request. Ours is the id of the task.
const requestID = "X-Request-Id"

// request is a request whose task is in the queue.
type request struct {
	*Ask
	h      *Handler
	w      http.ResponseWriter
	r      *http.Request
	id     string          // of the task
	record *results.Result // as it was when it was submitted
	name   string          // among those that wait for it
	again  time.Duration   // after which the client was told to come again
	began  time.Time
}

func (h *Handler) create(api string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		var ask *Ask
		body, err := io.ReadAll(r.Body)
		if err == nil {
			ask, err = h.Decode(r.Context(), api, body)
		}
		if err == nil {
			err = h.goOn(r.Context(), ask)
		}
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		c := &request{Ask: ask, h: h, w: w, r: r, began: began}
		if err := c.submit(); err != nil {
			h.refuse(w, r, err)
			return
		}
		switch {
		case ask.Stream:
			c.stream()
		case ask.Echo.Background:
			c.acknowledge()
		default:
			c.wait()
		}
	}
}

// submit puts the task into the queue, or finds the one that an earlier try has put there.
func (c *request) submit() error {
	ticket, err := c.h.Submit.Submit(c.r.Context(), &submit.Request{
		Chat: c.Chat, Options: c.Options, Prepare: c.prepare,
		IdempotencyKey: c.r.Header.Get("Idempotency-Key"), Join: true, Retry: retryCount(c.r.Header), Now: !c.Echo.Background,
	})
	c.id, c.record = ticket.ID, ticket.Record
	if err != nil && c.name != "" {
		c.leave(done)
	}
	if _, paused := errors.AsType[*submit.PausedError](err); paused { // there is no task: prepare ran beside the look at pauses
		c.w.Header().Del(requestID)
	}
	return err
}

// prepare notes what has to be there before the task is. The deadline is set here, as it must not make the request another
// one than its first try.
func (c *request) prepare(ctx context.Context, id string) (err error) {
	c.id = id
	c.w.Header().Set(requestID, id)
	if !c.Echo.Background && c.Chat.ExpiresAt.IsZero() {
		c.Chat.ExpiresAt = time.Now().Add(c.h.Deadline).UTC().Truncate(time.Second)
	}
	if err = c.h.note(ctx, id, c.Ask); err == nil && !c.Echo.Background {
		c.name, err = c.h.waiters.enter(ctx, id)
	}
	return err
}

// leave is the end of the request. A second call does nothing.
func (c *request) leave(f fate) {
	if c.name == "" {
		return
	}
	grace := c.h.Grace + c.again
	if f == stuck || c.Stream { // nobody comes again: the SDKs were told not to, and do not repeat a stream that has begun
		grace = 0
	}
	abandoned := f != done && !c.Echo.outlives() && c.h.Grace >= 0
	c.h.waiters.leave(c.id, c.name, abandoned, grace)
	c.name = ""
}

// wait answers once the task has ended, or tells the client to come again.
func (c *request) wait() {
	ctx, cancel := c.h.untilClose(c.r)
	defer cancel()
	ctx, stop := context.WithTimeoutCause(ctx, patience(c.r.Header), errComeAgain())
	defer stop()
	result, err := c.await(ctx)
	if err != nil {
		c.h.refuse(c.w, c.r, err)
		e := errorOf(err)
		c.again = e.RetryAfter
		switch {
		case c.h.base.Err() != nil:
		case e.Retry == RetryNo: // it waits for somebody to act
			c.leave(stuck)
		default:
			c.leave(gone)
		}
	} else {
		c.reply(result)
	}
	c.leave(done)
}

// await waits for the end of the task, or for the news that it cannot be asked now.
func (c *request) await(ctx context.Context) (*results.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, failed := c.h.events(ctx, c.id)
	guard := c.guard()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if err := guard.look(ctx); err != nil {
				return nil, err
			}
		case e, more := <-events:
			if !more {
				return nil, <-failed
			}
			if e.Type == watch.End {
				return e.Result, nil
			}
			if e.Type == watch.Status {
				if err := guard.see(e); err != nil {
					return nil, err
				}
			}
		}
	}
}

// guard is nil for a task that goes on whoever waits for it.
func (c *request) guard() *guard {
	if c.Echo.outlives() {
		return nil
	}
	return &guard{held: c.held, record: func(ctx context.Context) (*results.Result, error) { return c.h.Submit.Result(ctx, c.id) }}
}

func (c *request) held(ctx context.Context) (*pause.Hold, error) {
	return c.h.Submit.Held(ctx, c.Chat, c.Options.Queue, c.id)
}

// stream answers with the task's answer as it comes.
func (c *request) stream() {
	f := follower{h: c.h, r: c.r, id: c.id, wait: c.WaitForEnd, guard: c.guard(), atOnce: c.Echo.Background, began: c.began}
	if c.Echo.API == ResponsesAPI {
		f.sink = newResponseStream(c.w, c.r, &c.Echo, c.record)
	} else {
		f.sink = newChatStream(c)
	}
	defer f.sink.close()
	c.leave(f.follow())
}

// reply sends the answer, or the error of a task without one.
func (c *request) reply(result *results.Result) {
	if err := result.Err(); err != nil && finish(result) == "" {
		c.h.refuse(c.w, c.r, errorFor(c.Echo.API, err))
		return
	}
	_, body := c.Echo.Reply(result)
	WriteJSON(c.w, http.StatusOK, body)
}

func (c *request) acknowledge() {
	response := c.Echo.response(c.record)
	if !c.record.Status.Terminal() {
		if held, err := c.held(c.r.Context()); err == nil && held != nil {
			cozeq := response["cozeq"].(Object)
			cozeq["reason"], cozeq["paused_until"] = held.Reason(), At(held.NextProbe)
		}
	}
	WriteJSON(c.w, http.StatusOK, response)
}

// goOn makes a response that follows another one a turn of the same conversation.
func (h *Handler) goOn(ctx context.Context, a *Ask) error {
	id := a.Echo.Previous
	if id == "" {
		return nil
	}
	const param = "previous_response_id"
	_, previous, err := h.stored(ctx, id)
	switch {
	case isNotFound(err):
		return Bad(param, "previous_response_not_found", "there is no response %s, or it is kept no longer", quote(id))
	case err != nil:
		return err
	case previous.BotID != "" && previous.BotID != a.Chat.BotID:
		return Bad("model", "invalid_value", "another bot than that of the previous response, and a conversation is with one bot")
	case cmp.Or(previous.ConversationKey, previous.ConversationID) != "":
		// With the key turns keep their order even if the previous one has not begun.
		a.Chat.ConversationKey = previous.ConversationKey
		if previous.ConversationKey == "" {
			a.Chat.ConversationID = previous.ConversationID
		}
		return nil
	case previous.Status.Terminal():
		return Bad(param, "previous_response_not_found", "the response %s ended before it had a conversation", quote(id))
	}
	return &Error{
		Status: http.StatusConflict, Param: param, Code: "previous_response_queued", Retry: RetryYes, RetryAfter: 2 * time.Second,
		Message: "the previous response has not begun, and has no conversation yet: wait for it, or give both the same conversation, which keeps turns in order",
	}
}
