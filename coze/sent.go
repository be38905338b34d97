package coze

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// sent tells whether anything of a request's body may have reached a connection. A question of which nothing has was
// never asked; of any other the answer may be paid for already.
type sent struct {
	traced bool        // the transport says how far it has come
	looked atomic.Bool // it looked for a connection
	begun  atomic.Bool // the body's turn has come
}

// may reports, once the call has failed, whether the body may have been sent. A transport that was to tell and did not
// even say that it looks for a connection, as one for a scheme of its own within net/http's might, tells nothing.
func (s *sent) may() bool {
	return s.begun.Load() || s.traced && !s.looked.Load()
}

// through returns the context for a request through client. net/http's own transport tells when it has written the
// headers, and takes the body after that. When a call is given up its connection is closed before the call returns, so
// that a body which was not begun by then cannot be sent any more.
func (s *sent) through(ctx context.Context, client *http.Client) context.Context {
	if _, s.traced = client.Transport.(*http.Transport); !s.traced {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { s.looked.Store(true) },
		WroteHeaders: func() { s.begun.Store(true) },
	})
}

// body is content as a request's body. One that net/http knows to be in memory goes out together with the headers, and
// a write of its own would cost as much as decoding a short answer; of any other transport than net/http's we learn
// only from its reads.
func (s *sent) body(content []byte) io.ReadCloser {
	if s.traced {
		return io.NopCloser(bytes.NewReader(content))
	}
	return &payload{bytes.NewReader(content), s}
}

// payload is a body that notes when it is first read.
type payload struct {
	content *bytes.Reader
	sent    *sent
}

func (p *payload) Read(b []byte) (int, error) {
	p.sent.begun.Store(true)
	return p.content.Read(b)
}

func (p *payload) Close() error { return nil }
