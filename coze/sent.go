package coze

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// sent knows whether any byte of a request's body may have reached a connection. If none has, the question was not
// asked; otherwise its answer may be billed already. It also holds back a question whose consent has expired.
type sent struct {
	traced  bool        // the transport reports its progress
	http1   bool        // the client's last reply came over HTTP/1
	looked  atomic.Bool // it asked for a connection
	begun   atomic.Bool // it may have begun to send the body
	consent consent
}

// may reports, after a failed call, whether the body may have been sent. A traced transport that did not even ask for a
// connection does not report its progress (a RoundTripper registered for a scheme): assume that it sent.
func (s *sent) may() bool {
	return s.consent.refusal() == nil && (s.begun.Load() || s.traced && !s.looked.Load())
}

// through returns the context for a request through client. net/http's transport reports when it has written the headers,
// and reads the body after that. It closes the connection of a canceled call before the call returns: a body that was
// not begun by then cannot be sent later.
//
// GotConn asks for consent: it runs in the caller's goroutine and may take its time. WroteHeaders must not wait, because
// HTTP/2 calls it with the connection's lock held: it only checks the consent's age. A few microseconds of copying lie
// between it and the write of a small body.
func (s *sent) through(ctx context.Context, client *http.Client) context.Context {
	if _, s.traced = client.Transport.(*http.Transport); !s.traced {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { s.looked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { _ = s.consent.take() },
		WroteHeaders: func() {
			if s.consent.hold() == nil {
				s.begun.Store(true)
			}
		},
	})
}

// oneWrite is the size up to which a question is sent without another look at its consent: together with the headers it
// fits into about one write, see NewTransport.
const oneWrite = 2 << 10

// body is content as a request's body. net/http sends a body that it knows to be in memory together with the headers; a
// write of its own would cost as much as decoding a short answer. Other transports show their progress only by their
// reads. With consent, a large question is read in pieces, and over HTTP/2 every question: there one write gains nothing,
// and HTTP/2 would complete a body that is too short.
func (s *sent) body(content []byte) io.ReadCloser {
	if !s.traced || s.consent.ask != nil && (len(content) > oneWrite || !s.http1) {
		return &payload{bytes.NewReader(content), s}
	}
	return io.NopCloser(s.consent.reader(content))
}

// payload is a body that notes its first read and asks for consent before each piece.
type payload struct {
	content *bytes.Reader
	sent    *sent
}

// pieceSize is how much of a large question is sent per consent.
const pieceSize = 16 << 10

func (p *payload) Read(b []byte) (int, error) {
	if err := p.sent.consent.take(); err != nil {
		return 0, err
	}
	p.sent.begun.Store(true)
	if p.sent.consent.ask != nil && len(b) > pieceSize {
		b = b[:pieceSize]
	}
	return p.content.Read(b)
}

func (p *payload) Close() error { return nil }

// consent is what ChatRequest.BeforeSend gives. A refusal is final, and the question is not completed: the body fails or
// is shorter than announced, so the connection breaks off (over HTTP/2 the stream). Coze does not accept half a
// question, so nothing was asked.
type consent struct {
	ask func() error // nil = none is needed

	mu    sync.Mutex
	at    time.Time // of the last consent
	err   error
	small *bytes.Reader // the body that may be on its way, to be emptied by refuse
}

// reader is content that refuse can empty.
func (c *consent) reader(content []byte) *bytes.Reader {
	r := bytes.NewReader(content)
	if c.ask == nil {
		return r
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.small = r; c.err != nil {
		r.Reset(nil)
	}
	return r
}

// take asks for consent.
func (c *consent) take() error {
	if c.ask == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if err := c.ask(); err != nil {
		return c.refuse(err)
	}
	c.at = time.Now()
	return nil
}

// hold checks that the consent has not expired.
func (c *consent) hold() error {
	if c.ask == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && elapsed(c.at) < ConsentTime {
		return nil
	}
	return c.refuse(ErrStoodStill)
}

// refuse keeps the first reason and empties the body. It runs in the goroutine that reads the body next, so the two do
// not race.
func (c *consent) refuse(err error) error {
	if c.err == nil {
		c.err = err
	}
	if c.small != nil {
		c.small.Reset(nil)
	}
	return c.err
}

func (c *consent) refusal() error {
	if c.ask == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// elapsed is the time since a moment, by whichever clock ran further: the monotonic clock stands still while a machine
// is suspended, the wall clock may be set back.
func elapsed(since time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}
