package cozetest

import (
	"errors"
	"net/http"
	"time"
)

// The events that chats end with.
const (
	chatCompleted = "conversation.chat.completed"
	chatFailed    = "conversation.chat.failed"
	chatAction    = "conversation.chat.requires_action"
	chatCanceled  = "conversation.chat.canceled"

	messageDelta     = "conversation.message.delta"
	messageCompleted = "conversation.message.completed"
)

// event answers a stream request with a refusal that is a stream.
func (x *exchange) event(ft *Fault) {
	e := newEmitter(x, nil, ft)
	defer e.release()
	e.open("") // the fault strikes before the first event, and there is no event after it
}

func (x *exchange) stream(c *chat) {
	e := newEmitter(x, c, c.fault)
	defer e.release()
	err := e.play()
	if errors.Is(err, errCanceled) {
		err = e.canceled()
	}
	if err != nil {
		x.fake.detach(c)
	}
	if errors.Is(err, errReset) {
		panic(http.ErrAbortHandler)
	}
}

// stray answers with the stream of a chat that nobody here asked for.
func (x *exchange) stray(c *chat) {
	e := newEmitter(x, c, &Fault{})
	defer e.release()
	if e.strays() == nil {
		e.done() // an error means that the client is gone, which is its affair
	}
}

// strays sends the events of another chat, in another conversation, up to its end.
func (e *emitter) strays() error {
	f := e.x.fake
	f.mu.Lock()
	other := *e.chat
	other.id, other.convID = f.id(), f.id()
	m := storedMessage{
		id: f.id(), conversationID: other.convID, botID: other.botID, chatID: other.id,
		role: "assistant", kind: "answer", content: "somebody else's answer", contentType: "text",
	}
	f.mu.Unlock()
	for _, name := range []string{messageDelta, messageCompleted} {
		if err := e.send(name, m.append); err != nil {
			return err
		}
	}
	other.fault = &Fault{}
	return e.send(chatCompleted, func(dst []byte) []byte { return other.append(dst, statusCompleted, other.createdAt) })
}

// play sends the events of a chat in Coze's order.
func (e *emitter) play() error {
	c := e.chat
	for _, status := range []string{statusCreated, statusInProgress} {
		if c.fault.Unnamed {
			break
		}
		err := e.send("conversation.chat."+status, func(dst []byte) []byte { return c.append(dst, status, 0) })
		if err != nil {
			return err
		}
	}
	if c.fault.Strays {
		if err := e.strays(); err != nil {
			return err
		}
	}
	if err := e.until(c.latency); err != nil {
		return err
	}
	due := c.latency
	for i := range c.answers {
		var err error
		if due, err = e.answer(i, due); err != nil {
			return err
		}
	}
	if c.waits() && len(c.calls) == 0 && e.x.route.on == onChatflow {
		e.x.fake.end(c, statusAction)
		return e.interrupted()
	}
	if c.waits() {
		return e.finish()
	}
	for i := range c.rest {
		if err := e.send(messageCompleted, c.rest[i].append); err != nil {
			return err
		}
	}
	return e.finish()
}

// answer sends one answer: deltas, each due a pace after the one before it, and
// the whole. The reasoning goes before the first answer, under the same id.
func (e *emitter) answer(i int, due time.Duration) (time.Duration, error) {
	c := e.chat
	m := &c.answers[i]
	head, tail := m.head(nil), append(m.tail(nil), '}')
	delta := func(key, text string) error {
		if err := e.open(messageDelta); err != nil {
			return err
		}
		e.buf = append(append(e.buf, head...), key...)
		e.buf = append(appendString(e.buf, text), tail...)
		if err := e.close(false); err != nil {
			return err
		}
		due += c.pace
		return e.until(due)
	}
	if i == 0 {
		for piece := range pieces(c.reasoning, c.deltas) {
			if err := delta(`,"content":"","reasoning_content":`, piece); err != nil {
				return due, err
			}
		}
	}
	for {
		for piece := range pieces(m.content, c.deltas) {
			if err := delta(`,"content":`, piece); err != nil {
				return due, err
			}
		}
		if c.fault.Kind != Endless {
			break
		}
	}
	return due, e.send(messageCompleted, m.append)
}

// finish sends a chat's end. The conversation is free before the client can
// know of it: one that asks its next question at once must not be told 4016.
func (e *emitter) finish() error {
	c := e.chat
	if c.takes < 0 && c.fault.Kind == "" {
		if err := e.flush(); err != nil {
			return err
		}
		return e.hang()
	}
	if err := e.sleep(c.takes - time.Since(c.start)); err != nil {
		return err
	}
	status, name := c.final(), chatCompleted
	switch status {
	case statusFailed:
		name = chatFailed
	case statusCanceled:
		name = chatCanceled
	case statusAction:
		name = chatAction
	}
	e.x.fake.end(c, status)
	if err := e.sendChat(name, status); err != nil {
		return err
	}
	return e.done()
}

// canceled ends the stream of a chat that was canceled meanwhile.
func (e *emitter) canceled() error {
	e.strike = -1
	if err := e.sendChat(chatCanceled, statusCanceled); err != nil {
		return err
	}
	return e.done()
}

// done sends the last event and hands everything to the connection.
func (e *emitter) done() error {
	name, data, form := "done", `"[DONE]"`, e.fault.Done
	if form == "" && e.x.route.on == onChatflow {
		form = "debug_url"
	}
	switch form {
	case "bare":
		data = "[DONE]"
	case "empty":
		data = ""
	case "debug_url":
		data = `{"debug_url":"https://www.coze.cn/work_flow?execute_id=` + e.chat.id + `"}`
	case "stream.done":
		name, data = "conversation.stream.done", ""
	case "none":
		return e.write()
	}
	if err := e.open(name); err != nil {
		return err
	}
	e.buf = append(e.buf, data...)
	if err := e.close(true); err != nil {
		return err
	}
	return e.write()
}
