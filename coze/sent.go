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

// sent tells whether anything of a request's body may have reached a connection. A question of which nothing has was
// never asked; of any other the answer may be paid for already. It also holds a question back that may not be sent any
// more: see leave.
type sent struct {
	traced bool        // the transport says how far it has come
	http1  bool        // the client's last reply came by HTTP/1
	looked atomic.Bool // it looked for a connection
	begun  atomic.Bool // the body's turn has come
	leave  leave
}

// may reports, once the call has failed, whether the body may have been sent. A transport that was to tell and did not
// even say that it looks for a connection, as one for a scheme of its own within net/http's might, tells nothing.
func (s *sent) may() bool {
	return s.leave.refusal() == nil && (s.begun.Load() || s.traced && !s.looked.Load())
}

// through returns the context for a request through client. net/http's own transport tells when it has written the
// headers, and takes the body after that. When a call is given up its connection is closed before the call returns, so
// that a body which was not begun by then cannot be sent any more.
//
// Leave is asked for in GotConn, which runs in the caller's goroutine and may take its time. WroteHeaders must not wait,
// as HTTP/2 calls it with the connection's lock held: it only looks how old the leave is. Between it and the write of a
// small body are a few microseconds of copying.
func (s *sent) through(ctx context.Context, client *http.Client) context.Context {
	if _, s.traced = client.Transport.(*http.Transport); !s.traced {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { s.looked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { _ = s.leave.take() },
		WroteHeaders: func() {
			if s.leave.hold() == nil {
				s.begun.Store(true)
			}
		},
	})
}

// oneWrite is the most bytes of a question that go out without a further look at its leave: together with the headers
// they are about what one write takes, see NewTransport.
const oneWrite = 2 << 10

// body is content as a request's body. One that net/http knows to be in memory goes out together with the headers, and
// a write of its own would cost as much as decoding a short answer; of any other transport than net/http's we learn
// only from its reads. A large question that needs leave is read in pieces, and so is any by HTTP/2, as that gains
// nothing by one write, and completes a body that is too short.
func (s *sent) body(content []byte) io.ReadCloser {
	if !s.traced || s.leave.ask != nil && (len(content) > oneWrite || !s.http1) {
		return &payload{bytes.NewReader(content), s}
	}
	return io.NopCloser(s.leave.reader(content))
}

// payload is a body that notes when it is first read, and asks for leave before each piece.
type payload struct {
	content *bytes.Reader
	sent    *sent
}

// pieceSize is how much of a large question goes out between two looks at its leave.
const pieceSize = 16 << 10

func (p *payload) Read(b []byte) (int, error) {
	if err := p.sent.leave.take(); err != nil {
		return 0, err
	}
	p.sent.begun.Store(true)
	if p.sent.leave.ask != nil && len(b) > pieceSize {
		b = b[:pieceSize]
	}
	return p.content.Read(b)
}

func (p *payload) Close() error { return nil }

// leave is what ChatRequest.BeforeSend gives, and why it is over. Once it is refused it stays so, and the question is
// not completed: the connection breaks off, or on HTTP/2 the stream, as the body fails or is shorter than was announced.
// Coze takes no question by half, so that none was asked.
type leave struct {
	ask func() error // nil: none is needed

	mu    sync.Mutex
	at    time.Time // when it was given last
	err   error
	small *bytes.Reader // the small body that may be on its way, to be emptied
}

// reader is content that hold and take can take away from net/http.
func (l *leave) reader(content []byte) *bytes.Reader {
	r := bytes.NewReader(content)
	if l.ask == nil {
		return r
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.small = r; l.err != nil {
		r.Reset(nil)
	}
	return r
}

// take asks for leave.
func (l *leave) take() error {
	if l.ask == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if err := l.ask(); err != nil {
		return l.refuse(err)
	}
	l.at = time.Now()
	return nil
}

// hold looks whether the leave that was taken holds still.
func (l *leave) hold() error {
	if l.ask == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && elapsed(l.at) < LeaveTime {
		return nil
	}
	return l.refuse(ErrStoodStill)
}

// refuse keeps the first reason. It is called by the goroutine that reads the body next: net/http reads it, and empties
// it here, in the same one.
func (l *leave) refuse(err error) error {
	if l.err == nil {
		l.err = err
	}
	if l.small != nil {
		l.small.Reset(nil)
	}
	return l.err
}

func (l *leave) refusal() error {
	if l.ask == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// elapsed is the time since a moment by the clock that has run further. Go's monotonic clock stands still while a
// machine is suspended, and the wall clock may be set back.
func elapsed(since time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}
