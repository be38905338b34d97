package httpserver

import (
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"

	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
)

func NewDashboard(p *settings.Dashboard, s *session.Session, logger *slog.Logger) http.Handler {
	// asynqmon writes errors of its buttons to the standard logger.
	log.SetFlags(0)
	log.SetOutput(slogWriter{logger})
	return dashboard.New(dashboard.Config{
		Redis: s.Redis, Results: s.Results, Tasks: s.Tasks,
		Token: p.Token, Write: p.Write, Prometheus: p.Prometheus, Log: logger,
	})
}

// slogWriter makes a warning of each line.
type slogWriter struct{ logger *slog.Logger }

var _ io.Writer = slogWriter{}

func (w slogWriter) Write(line []byte) (int, error) {
	w.logger.Warn(strings.TrimSpace(string(line)), "from", "asynqmon")
	return len(line), nil
}

// DashboardPool is for as many connections as pages of a few people need.
const DashboardPool = 1
