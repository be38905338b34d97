// Package httpserver is what a process serves over HTTP: /metrics, /healthz, /readyz and the dashboard. It bounds the
// connections, so that those who look leave enough file descriptors for chats.
package httpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/internal/exitcode"
)

// readyTimeout bounds one look at Redis for /readyz.
const readyTimeout = 2 * time.Second

// Config is what a process serves over HTTP. What is nil is not there.
type Config struct {
	Ready     func(context.Context) error // for /readyz
	Metrics   http.Handler                // for /metrics
	Dashboard http.Handler                // for /monitor
	API       http.Handler                // for all of it, instead of these: it answers as long as its callers wait

	Hint        string // for an address that is taken; "": that of --http
	Chats       int    // that this process may have in flight, whose descriptors are not the server's
	connections int    // at a time; 0: by the limit of descriptors
}

// handler has nothing but what is named here: no profiles, and nothing that a library
// puts into http.DefaultServeMux.
func (c Config) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := c.Ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	if c.Metrics != nil {
		mux.Handle("GET /metrics", c.Metrics)
	}
	if c.Dashboard != nil {
		mux.Handle(dashboard.Root, c.Dashboard)
		mux.Handle(dashboard.Root+"/", c.Dashboard)
		mux.Handle("GET /{$}", http.RedirectHandler(dashboard.Root+"/", http.StatusFound))
	}
	return mux
}

// Server serves what a Config names.
type Server struct {
	URL    string
	server *http.Server
	served chan struct{}
}

// Start listens at once, so that an address in use is an error before anything is
// asked.
func Start(ctx context.Context, addr string, c Config, logger *slog.Logger) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		hinted := &exitcode.HintedError{Err: fmt.Errorf("serve HTTP: %w", err), Hint: "choose another address with --http or COZEQ_HTTP, or off"}
		hinted.Hint = cmp.Or(c.Hint, hinted.Hint)
		return nil, hinted
	}
	listener := bounded(l, c.bound(logger))
	web := &Server{
		URL: "http://" + Reachable(l.Addr()),
		server: &http.Server{
			Handler:           c.handler(),
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    headerBytes,
			ConnState:         listener.state,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
		served: make(chan struct{}),
	}
	if c.API != nil {
		web.server.Handler, web.server.ReadTimeout, web.server.WriteTimeout = c.API, 0, 0 // it sets deadlines itself
	}
	go func() {
		defer close(web.served)
		if err := web.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("HTTP is served no more", "error", err)
		}
	}()
	if c.Metrics != nil {
		logger.Info("serving metrics", "url", web.URL+"/metrics")
	}
	if c.Dashboard != nil {
		logger.Info("serving the dashboard", "url", web.URL+dashboard.Root)
	}
	return web, nil
}

// bound is how many connections the server may have.
func (c Config) bound(logger *slog.Logger) int {
	if c.connections > 0 {
		return c.connections
	}
	most := uint64(mostConnections)
	if c.API != nil {
		most = mostClients
	}
	limit, known := descriptorLimit()
	if !known {
		return int(most)
	}
	needed := descriptorsOf(c.Chats)
	if limit < needed+leastConnections {
		logger.Warn("this process may open too few files for so many chats: raise its limit (ulimit -n, LimitNOFILE), or lower --concurrency",
			"limit", limit, "needed", needed+leastConnections, "concurrency", c.Chats)
	}
	return connectionsFor(limit, needed, most)
}

// Drain takes no new connections, and returns when the requests in flight have ended, or after d.
func (web *Server) Drain(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	_ = web.server.Shutdown(ctx) // what it does not wait for is left to Close
}

func (web *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if web.server.Shutdown(ctx) != nil {
		web.server.Close()
	}
	<-web.served
}

// Reachable is an address as one of this machine would dial it: 0.0.0.0 is for
// listening only.
func Reachable(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
}

// WhileServing is nil for the signal that a worker is meant to end with.
func WhileServing(signals context.Context, err error) error {
	if signals.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
