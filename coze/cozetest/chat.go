package cozetest

import (
	"slices"
	"strconv"
	"time"
)

// The states of a chat.
const (
	statusCreated    = "created"
	statusInProgress = "in_progress"
	statusCompleted  = "completed"
	statusFailed     = "failed"
	statusAction     = "requires_action"
	statusCanceled   = "canceled"
)

// chat is what was asked and what will be answered. Everything is decided when
// it is accepted; only the last group of fields changes, under Fake.mu.
type chat struct {
	id        string
	conv      *conversation
	convID    string
	botID     string
	question  string
	meta      map[string]string
	saved     bool // auto_save_history
	fault     *Fault
	createdAt int64
	start     time.Time
	latency   time.Duration
	pace      time.Duration
	deltas    int // pieces of each answer, and of the reasoning
	reasoning string
	round     int             // of tool calls, from 1
	calls     []toolCall      // the tools that it waits for at its end
	given     []toolOutput    // by the tools of the rounds before
	said      []storedMessage // in those rounds
	answers   []storedMessage
	rest      []storedMessage // the verbose finish, then the follow_ups
	usage     usage
	takes     time.Duration // its length
	canceled  chan struct{} // closed by cancel when that ends the stream; may be nil

	status   string
	endedAt  int64
	unasked  bool // its question was deleted: later turns do not see it
	detached bool // no stream will end it: the clock does
	timer    *time.Timer
}

// length is how long the chat runs when nobody interferes; negative for ever.
func (c *chat) length() time.Duration {
	if c.fault.end() == Running {
		return -1
	}
	n := countPieces(c.reasoning, c.deltas)
	for i := range c.answers {
		n += countPieces(c.answers[i].content, c.deltas)
	}
	d := c.latency + time.Duration(n)*c.pace + c.fault.Behind
	if c.fault.Kind == Stall {
		d += c.fault.For
	}
	return d
}

func (c *chat) final() string {
	switch c.fault.end() {
	case Failed:
		return statusFailed
	case Canceled:
		return statusCanceled
	}
	if c.waits() {
		return statusAction
	}
	return statusCompleted
}

// finish ends a chat and frees its conversation. The caller holds mu. It does
// nothing to one that has ended.
func (f *Fake) finish(c *chat, status string) {
	if c.status != statusInProgress {
		return
	}
	c.status, c.endedAt = status, f.cfg.now().Unix()
	if c.timer != nil {
		c.timer.Stop()
	}
	f.journal.running--
	f.rest(c.conv)
	if status == statusAction && len(c.calls) > 0 { // it waits for a tool's output, and goes on occupying
		return
	}
	c.conv.active = nil
	if (status == statusCompleted || status == statusAction) && c.saved {
		c.conv.messages = slices.Concat(c.conv.messages, c.said, c.answers, c.rest)
	}
}

// end is finish for callers without the lock.
func (f *Fake) end(c *chat, status string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finish(c, status)
}

// detach leaves a chat to the clock: its client is gone, or never watched.
func (f *Fake) detach(c *chat) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.detached = true
	f.settle(c)
	if c.status != statusInProgress || c.takes < 0 || f.closed {
		return
	}
	c.timer = time.AfterFunc(c.takes-time.Since(c.start), func() { f.end(c, c.final()) })
}

// settle ends a detached chat whose time has come, also when its timer has not
// been served yet: a reader at that moment sees what the clock says. The caller
// holds mu.
func (f *Fake) settle(c *chat) {
	if c.detached && c.takes >= 0 && time.Since(c.start) >= c.takes {
		f.finish(c, c.final())
	}
}

// append appends the chat object in a given state; ended is 0 before its end.
func (c *chat) append(dst []byte, status string, ended int64) []byte {
	dst = appendString(append(dst, `{"id":`...), c.id)
	dst = appendString(append(dst, `,"conversation_id":`...), c.convID)
	dst = appendString(append(dst, `,"bot_id":`...), c.botID)
	dst = strconv.AppendInt(append(dst, `,"created_at":`...), c.createdAt, 10)
	switch {
	case ended == 0:
	case status == statusFailed:
		dst = strconv.AppendInt(append(dst, `,"failed_at":`...), ended, 10)
	case status == statusCompleted:
		dst = strconv.AppendInt(append(dst, `,"completed_at":`...), ended, 10)
	}
	dst = append(dst, `,"last_error":`...)
	if status == statusFailed {
		dst = appendError(dst, c.fault.code(), c.fault.msg())
	} else {
		dst = appendError(dst, 0, "")
	}
	if len(c.meta) > 0 {
		dst = appendMeta(append(dst, `,"meta_data":`...), c.meta)
	}
	dst = appendString(append(dst, `,"status":`...), status)
	if status == statusAction {
		dst = c.appendAction(dst)
	}
	dst = append(dst, `,"usage":`...)
	if status == statusCompleted || status == statusAction {
		dst = c.usage.append(dst)
	} else {
		dst = usage{}.append(dst)
	}
	dst = appendString(append(dst, `,"section_id":`...), c.conv.sectionID)
	return append(dst, '}')
}
