package cozetest

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// NewInMemory is New without a network: connections are pipes within the
// process, so that server and clients can live in a testing/synctest bubble, inside
// which it has to be called. Only clients over HTTPClient reach it.
func NewInMemory(tb TB, opts ...Option) *Server {
	tb.Helper()
	l := &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
	t := &http.Transport{DialContext: l.dial, MaxIdleConnsPerHost: 1024, DisableCompression: true}
	s, err := serve(l, "http://coze.test", t, newConfig(opts))
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(s.Close)
	return s
}

// memory is a net.Listener of pipes.
type memory struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case m.conns <- server:
		return client, nil
	case <-m.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return memoryAddr{} }

type memoryAddr struct{}

func (memoryAddr) Network() string { return "pipe" }
func (memoryAddr) String() string  { return "coze.test" }
