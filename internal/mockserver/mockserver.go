// Package mockserver serves coze/cozetest's fake of Coze on an address, for the command mock and for run --demo.
package mockserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/httpserver"
)

// Server is a fake Coze that listens.
type Server struct {
	URL    string
	Failed <-chan error // why it serves no more

	fake   *cozetest.Fake
	server *http.Server
	served chan struct{}
}

func Start(ctx context.Context, addr string, cfg cozetest.Config) (*Server, error) {
	fake, err := cozetest.NewHandler(cfg)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &exitcode.HintedError{Err: fmt.Errorf("mock: %w", err), Hint: "choose another address with --addr"}
	}
	failed := make(chan error, 1)
	m := &Server{
		URL: "http://" + httpserver.Reachable(l.Addr()), Failed: failed, fake: fake,
		server: &http.Server{Handler: fake, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}, // chats are as many, and last as long, as they like
		served: make(chan struct{}),
	}
	go func() {
		defer close(m.served)
		if err := m.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("mock: %w", err)
		}
	}()
	return m, nil
}

func (m *Server) Close() {
	m.fake.Close()
	m.server.Close()
	<-m.served
}
