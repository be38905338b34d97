package cozetest

import (
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/cozeq/cozeq/coze"
)

// TB is what this package needs of testing.TB. It is declared here so that a
// program which serves the fake does not link package testing.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Server is a Fake that listens.
type Server struct {
	*Fake
	URL string // the API's base, without a final slash

	http      *http.Server
	transport *http.Transport
	serving   sync.WaitGroup
}

// New starts a fake Coze on a free port of the loopback interface and closes it
// when the test ends.
func New(tb TB, opts ...Option) *Server {
	tb.Helper()
	s, err := Start("", newConfig(opts))
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Start is New for programs: addr is host:port, and "" a free port of the loopback
// interface. The caller closes the server.
func Start(addr string, c Config) (*Server, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cozetest: %w", err)
	}
	return serve(l, "http://"+l.Addr().String(), coze.NewTransport(1024), c)
}

// serve takes the listener over, and closes it when the rules are no good.
func serve(l net.Listener, url string, t *http.Transport, c Config) (*Server, error) {
	fake, err := NewHandler(c)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("cozetest: %w", err)
	}
	s := &Server{Fake: fake, URL: url, transport: t}
	s.http = &http.Server{Handler: fake, ConnState: s.track}
	s.serving.Go(func() { s.http.Serve(l) }) // returns when Close closes l
	return s, nil
}

// HTTPClient returns a client that reaches the server. It has no timeout.
func (s *Server) HTTPClient() *http.Client {
	return coze.NoRedirects(&http.Client{Transport: s.transport})
}

// Client returns a client of the API with a token that the server accepts.
func (s *Server) Client() *coze.Client {
	return &coze.Client{BaseURL: s.URL, Auth: coze.StaticToken(s.cfg.token()), HTTP: s.HTTPClient()}
}

// track lets Close wait for the connections' goroutines. The first state of a
// connection is set by Serve itself, so none is added once serving has ended.
func (s *Server) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.serving.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.serving.Done()
	}
}

// Close ends all connections, open streams included. It may be called more than
// once.
func (s *Server) Close() {
	s.Fake.Close()
	s.http.Close()
	s.serving.Wait()
	s.transport.CloseIdleConnections()
}
