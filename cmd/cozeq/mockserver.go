package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
)

// mock is a fake Coze that listens.
type mock struct {
	url    string
	failed <-chan error // why it serves no more

	fake   *cozetest.Fake
	server *http.Server
	served chan struct{}
}

func startMock(ctx context.Context, addr string, cfg cozetest.Config) (*mock, error) {
	fake, err := cozetest.NewHandler(cfg)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &hintedError{err: fmt.Errorf("mock: %w", err), hint: "choose another address with --addr"}
	}
	failed := make(chan error, 1)
	m := &mock{
		url: "http://" + reachable(l.Addr()), failed: failed, fake: fake,
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

func (m *mock) close() {
	m.fake.Close()
	m.server.Close()
	<-m.served
}
