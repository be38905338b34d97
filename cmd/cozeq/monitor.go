package main

import (
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"

	"github.com/cozeq/cozeq/internal/monitor"
)

// dashboardHandler is the dashboard of a Redis.
func dashboardHandler(p *dashboardPlan, s *session, logger *slog.Logger) http.Handler {
	// asynqmon tells the standard logger what a button could not do.
	log.SetFlags(0)
	log.SetOutput(slogWriter{logger})
	return monitor.New(monitor.Config{
		Redis: s.rdb, Results: s.results, Tasks: s.tasks,
		Token: p.token, Write: p.write, Prometheus: p.prometheus, Log: logger,
	})
}

// slogWriter makes a warning of each line.
type slogWriter struct{ logger *slog.Logger }

var _ io.Writer = slogWriter{}

func (w slogWriter) Write(line []byte) (int, error) {
	w.logger.Warn(strings.TrimSpace(string(line)), "from", "asynqmon")
	return len(line), nil
}

// dashboardPool is for as many connections as pages of a few people need.
const dashboardPool = 1
