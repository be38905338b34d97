package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/cozeq/cozeq/internal/monitor"
)

// readyTimeout bounds one look at Redis for /readyz.
const readyTimeout = 2 * time.Second

// site is what a process serves over HTTP. What is nil is not there.
type site struct {
	ready     func(context.Context) error // for /readyz
	metrics   http.Handler                // for /metrics
	dashboard http.Handler                // for /monitor

	chats       int // that this process may have in flight, whose descriptors are not the site's
	connections int // at a time; 0: by the limit of descriptors
}

// handler has nothing but what is named here: no profiles, and nothing that a library
// puts into http.DefaultServeMux.
func (s site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := s.ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	if s.metrics != nil {
		mux.Handle("GET /metrics", s.metrics)
	}
	if s.dashboard != nil {
		mux.Handle(monitor.Root, s.dashboard)
		mux.Handle(monitor.Root+"/", s.dashboard)
		mux.Handle("GET /{$}", http.RedirectHandler(monitor.Root+"/", http.StatusFound))
	}
	return mux
}

// webServer serves a site.
type webServer struct {
	url    string
	server *http.Server
	served chan struct{}
}

// startSite listens at once, so that an address in use is an error before anything is
// asked.
func startSite(ctx context.Context, addr string, s site, logger *slog.Logger) (*webServer, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &hintedError{
			err:  fmt.Errorf("serve HTTP: %w", err),
			hint: "choose another address with --http or COZEQ_HTTP, or off",
		}
	}
	listener := bounded(l, s.bound(logger))
	web := &webServer{
		url: "http://" + reachable(l.Addr()),
		server: &http.Server{
			Handler:           s.handler(),
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			ConnState:         listener.state,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
		served: make(chan struct{}),
	}
	go func() {
		defer close(web.served)
		if err := web.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("HTTP is served no more", "error", err)
		}
	}()
	if s.metrics != nil {
		logger.Info("serving metrics", "url", web.url+"/metrics")
	}
	if s.dashboard != nil {
		logger.Info("serving the dashboard", "url", web.url+monitor.Root)
	}
	return web, nil
}

// bound is how many connections the site may have.
func (s site) bound(logger *slog.Logger) int {
	if s.connections > 0 {
		return s.connections
	}
	limit, known := descriptorLimit()
	if !known {
		return mostConnections
	}
	needed := descriptorsOf(s.chats)
	if limit < needed+leastConnections {
		logger.Warn("this process may open too few files for so many chats: raise its limit (ulimit -n, LimitNOFILE), or lower --concurrency",
			"limit", limit, "needed", needed+leastConnections, "concurrency", s.chats)
	}
	return siteConnections(limit, needed)
}

// close lets a scrape in progress end.
func (web *webServer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if web.server.Shutdown(ctx) != nil {
		web.server.Close()
	}
	<-web.served
}

// reachable is an address as one of this machine would dial it: 0.0.0.0 is for
// listening only.
func reachable(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
}

// whileServing is nil for the signal that a worker is meant to end with.
func whileServing(signals context.Context, err error) error {
	if signals.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
