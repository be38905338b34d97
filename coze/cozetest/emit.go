package cozetest

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Why a stream ended before its last event.
var (
	errOver     = errors.New("cozetest: the stream is over")
	errReset    = errors.New("cozetest: the connection is broken")
	errGone     = errors.New("cozetest: the client or the fake is gone")
	errCanceled = errors.New("cozetest: the chat was canceled")
)

// chunk is when an unpaced stream is handed to the connection: thousands of
// small writes would make the fake the slowest part of a benchmark.
const chunk = 32 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, chunk+4096); return &b }}

// emitter writes the events of one stream and plays the faults that strike
// between and inside them.
type emitter struct {
	x     *exchange
	chat  *chat // nil for a stream that is only a refusal
	run   bool  // it is of a workflow: events have ids and spaces
	fault *Fault
	frame framing
	plain bool
	pool  *[]byte // nil for a paced stream, which never holds more than some events
	buf   []byte

	name   string
	event  int // where the open event begins in buf
	data   int // where its data begins
	events int // sent whole
	sent   int // bytes written
	strike int // the number of events before the fault; negative when it has struck or never will
	half   bool
	shift  time.Duration // by how much a stall put everything after it off
}

func newEmitter(x *exchange, c *chat, ft *Fault) *emitter {
	e := &emitter{x: x, chat: c, run: x.route.on == onWorkflow, fault: ft, plain: ft.Lines == "", strike: ft.after()}
	e.frame, _ = parseFraming(ft.Lines) // checked when the rule was compiled
	if x.route.on == onChatflow {       // its events have a space behind the colon
		e.plain, e.frame.space = false, true
	}
	if c == nil || c.pace == 0 {
		e.pool = buffers.Get().(*[]byte)
		e.buf = (*e.pool)[:0]
	}
	x.log(http.StatusOK, ft.refusalCode())
	h := x.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	x.w.WriteHeader(http.StatusOK)
	return e
}

// refusalCode is what the log shows for a stream that is only a refusal.
func (f *Fault) refusalCode() int {
	if f.refuses() {
		return f.Code
	}
	return 0
}

func (e *emitter) release() {
	if e.pool == nil {
		return
	}
	if cap(e.buf) <= 2*chunk {
		*e.pool = e.buf[:0]
	}
	buffers.Put(e.pool)
}

// open begins an event. The caller appends the data to buf and calls close.
func (e *emitter) open(name string) error {
	if e.events == e.strike {
		e.strike = -1
		if err := e.interrupt(); err != nil {
			return err
		}
	}
	e.name, e.event = name, len(e.buf)
	switch {
	case e.plain && e.run:
		e.buf = strconv.AppendInt(append(e.buf, "id: "...), int64(e.events), 10)
		e.buf = append(append(append(e.buf, "\nevent: "...), name...), "\ndata: "...)
	case e.plain:
		e.buf = append(append(append(e.buf, "event:"...), name...), "\ndata:"...)
	}
	e.data = len(e.buf)
	return nil
}

func (e *emitter) close(last bool) error {
	if e.half {
		e.buf = e.buf[:e.data+(len(e.buf)-e.data)/2]
		return e.cut()
	}
	if e.plain {
		e.buf = append(e.buf, '\n', '\n')
	} else {
		data := bytes.Clone(e.buf[e.data:])
		e.buf = e.frame.append(e.buf[:e.event], e.name, data, e.events == 0, last)
	}
	e.events++
	if n := e.cutAt(); len(e.buf) >= chunk || n > 0 && e.sent+len(e.buf) >= n {
		return e.write()
	}
	return nil
}

// send is open and close around data that appends itself.
func (e *emitter) send(name string, data func(dst []byte) []byte) error {
	if err := e.open(name); err != nil {
		return err
	}
	e.buf = data(e.buf)
	return e.close(false)
}

func (e *emitter) sendChat(name, status string) error {
	ended := e.x.fake.cfg.now().Unix()
	return e.send(name, func(dst []byte) []byte { return e.chat.append(dst, status, ended) })
}

// sendError sends an event with a code, or with {} for code 0.
func (e *emitter) sendError(name string, code int, msg string) error {
	if e.run {
		name = "Error"
	}
	return e.send(name, func(dst []byte) []byte {
		switch {
		case code == 0:
			return append(dst, "{}"...)
		case e.run:
			dst = strconv.AppendInt(append(dst, `{"error_code":`...), int64(code), 10)
			return append(appendString(append(dst, `,"error_message":`...), msg), '}')
		}
		return appendError(dst, code, msg)
	})
}

// cutAt is the length that the body is cut to, 0 for none.
func (e *emitter) cutAt() int {
	if e.fault.Kind != Cut {
		return 0
	}
	return e.fault.Bytes
}

func (e *emitter) write() error {
	over := false
	if n := e.cutAt(); n > 0 && e.sent+len(e.buf) >= n {
		e.buf, over = e.buf[:n-e.sent], true
	}
	step := len(e.buf)
	if e.frame.bytes {
		step = 1
	}
	for at := 0; at < len(e.buf); at += step {
		n, err := e.x.w.Write(e.buf[at : at+step])
		e.sent += n
		if err == nil && e.frame.bytes {
			err = http.NewResponseController(e.x.w).Flush()
		}
		if err != nil {
			return errGone
		}
	}
	e.buf = e.buf[:0]
	if over {
		return e.over()
	}
	return nil
}

// flush makes the client see what was sent so far.
func (e *emitter) flush() error {
	if err := e.write(); err != nil {
		return err
	}
	if http.NewResponseController(e.x.w).Flush() != nil {
		return errGone
	}
	return nil
}

// until waits for a moment of the chat's life, counted from its start.
func (e *emitter) until(d time.Duration) error {
	return e.sleep(d + e.shift - time.Since(e.chat.start))
}

func (e *emitter) sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if err := e.flush(); err != nil {
		return err
	}
	return e.x.wait(d, e.chat.canceled)
}

// cut ends the stream after what is in buf.
func (e *emitter) cut() error {
	if err := e.flush(); err != nil {
		return err
	}
	return e.over()
}

func (e *emitter) over() error {
	if e.fault.Reset {
		http.NewResponseController(e.x.w).Flush()
		return errReset
	}
	return errOver
}
