package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cozeq/cozeq/worker"
)

// readyTimeout bounds one look at Redis for /readyz.
const readyTimeout = 2 * time.Second

// monitor serves a worker's /metrics, /healthz and /readyz.
type monitor struct {
	server *http.Server
	served chan struct{}
}

// startMonitor listens at once, so that an address in use is an error before
// anything is asked.
func startMonitor(ctx context.Context, addr string, ready func(context.Context) error, metrics http.Handler, logger *slog.Logger) (*monitor, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &hintedError{
			err:  fmt.Errorf("serve metrics: %w", err),
			hint: "choose another address with --http or COZEQ_HTTP, or off",
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	m := &monitor{
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
		served: make(chan struct{}),
	}
	go func() {
		defer close(m.served)
		if err := m.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics are served no more", "error", err)
		}
	}()
	logger.Info("serving metrics", "url", "http://"+reachable(l.Addr())+"/metrics")
	return m, nil
}

// close lets a scrape in progress end.
func (m *monitor) close() {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if m.server.Shutdown(ctx) != nil {
		m.server.Close()
	}
	<-m.served
}

// newMetrics are the worker's counters and the handler that shows them together
// with those of the queues and the process.
func newMetrics(s *session, queues []string) (*worker.Metrics, http.Handler) {
	registry := prometheus.NewRegistry()
	metrics := worker.NewMetrics(registry)
	registry.MustRegister(
		worker.NewQueueCollector(s.rdb, queues),
		worker.NewPauseCollector(s.rdb),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return metrics, promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
