package sse

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"
)

const (
	heartbeatEvery = 15 * time.Second
	writeTimeout   = 30 * time.Second

	// retry is how long a browser waits before it comes again: a serve that restarts is not to be met by all at once.
	retry = 2 * time.Second

	// keepBuffer is how large a buffer a stream keeps between two frames.
	keepBuffer = 1 << 10
)

// ErrClosed is returned for what is written after Close.
var ErrClosed = errors.New("the event stream is closed")

// comment keeps a connection open.
var comment = []byte(": keep-alive\n")

// Writer writes one stream of events. It is safe for concurrent use.
type Writer struct {
	w       http.ResponseWriter
	control *http.ResponseController

	heartbeat *time.Timer

	mu       sync.Mutex
	wrote    time.Time // the last write
	extended time.Time // when the deadline was set
	buf      []byte
	retried  bool  // an event with retry was written
	err      error // what ended the stream
}

// Start sends the headers of an event stream. The caller has checked the request by then: what follows can only be events.
// It fails if w cannot flush, or has no deadlines: a wrapped http.ResponseWriter needs a method Unwrap.
func Start(w http.ResponseWriter, r *http.Request) (*Writer, error) {
	if r.Context().Err() != nil {
		return nil, context.Cause(r.Context()) // the client has gone
	}
	s := &Writer{w: w, control: http.NewResponseController(w)}
	// A server's ReadTimeout is for requests. It would end the request's context while the answer is being written.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("event stream over a %T: no read deadline: %w", w, err)
	}
	if err := s.extend(); err != nil {
		return nil, err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Del("Content-Length")
	w.WriteHeader(http.StatusOK)
	if err := s.control.Flush(); err != nil {
		return nil, fmt.Errorf("event stream over a %T: %w", w, err)
	}
	s.wrote = time.Now()
	s.heartbeat = time.AfterFunc(math.MaxInt64, s.beat)
	s.heartbeat.Reset(heartbeatEvery) // not before the field is set: beat reads it without the lock
	return s, nil
}

// Event sends an event. An empty id or name is left out; neither may have a line break, and an id no NUL. Data may have
// several lines; their ends are read as "\n" whatever they were.
func (s *Writer) Event(id, name string, data []byte) error {
	if err := checkField("id", id); err != nil {
		return err
	}
	if err := checkField("event", name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	frame := s.buf[:0]
	if !s.retried {
		frame = fmt.Appendf(frame, "retry: %d\n", retry.Milliseconds())
		s.retried = true
	}
	frame = appendField(frame, "id", id)
	frame = appendField(frame, "event", name)
	return s.send(appendData(frame, data))
}

// Data sends data alone, as OpenAI's streams have it.
func (s *Writer) Data(data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.send(appendData(s.buf[:0], data))
}

// Close ends the heartbeat. It must be called before the handler returns: nobody may write to w after that.
func (s *Writer) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heartbeat.Stop()
	if s.err == nil {
		_ = s.extend() // for what the server itself writes at the end
		s.err = ErrClosed
	}
}

// beat breaks the silence. Each write begins it anew: the timer is not set then, but looks here how long it is.
func (s *Writer) beat() {
	if !s.mu.TryLock() { // somebody writes
		s.heartbeat.Reset(heartbeatEvery)
		return
	}
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	silence := time.Since(s.wrote)
	if silence >= heartbeatEvery {
		if s.write(comment) != nil {
			return
		}
		silence = 0
	}
	s.heartbeat.Reset(heartbeatEvery - silence)
}

// send writes a frame that was built in s.buf.
func (s *Writer) send(frame []byte) error {
	if cap(frame) <= keepBuffer {
		s.buf = frame
	}
	return s.write(frame)
}

// write sends what it is given and begins the silence anew. A stream that has failed stays so: half a frame may have been
// sent.
func (s *Writer) write(b []byte) error {
	if s.err != nil {
		return s.err
	}
	s.err = s.extend()
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
	if s.err == nil {
		s.err = s.control.Flush()
	}
	if s.err != nil {
		s.heartbeat.Stop()
		return s.err
	}
	s.wrote = time.Now()
	return nil
}

// extend gives the next write its time, up to a second less of it: to set a deadline costs as much as to make a frame.
func (s *Writer) extend() error {
	now := time.Now()
	if now.Sub(s.extended) < time.Second {
		return nil
	}
	if err := s.control.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
		return fmt.Errorf("event stream over a %T: no write deadline: %w", s.w, err)
	}
	s.extended = now
	return nil
}
