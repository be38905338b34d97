package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/monitor"
)

// defaultDashboard is where the command dashboard serves.
const defaultDashboard = "127.0.0.1:8081"

type dashboardCommand struct{ streams *streams }

func newDashboardCmd(s *streams) *cobra.Command {
	c := &dashboardCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Serve the dashboard of a shared Redis: queues, tasks, questions and answers",
		Long: `Serves asynqmon's pages at /monitor, with the question, the answer, the error and
the cost of each task in full. The first line on stdout is its URL. It serves
until a signal. A worker serves the same pages at /monitor of its --http.

The pages show every question and answer. They therefore ask for the token in
$COZEQ_MONITOR_TOKEN or $COZEQ_MONITOR_TOKEN_FILE: in a browser as the password
of any user, elsewhere as a bearer token. Without a token the dashboard serves
on a loopback address only. It does not encrypt; put a TLS proxy in front of it.

The pages are read-only without --monitor-write. /metrics, /healthz and /readyz
need no token; /metrics has what Redis knows of queues, pauses and workers.`,
		Example: `  cozeq dashboard --redis redis://localhost:6379/0
  openssl rand -hex 16 > dashboard.token
  COZEQ_MONITOR_TOKEN_FILE=dashboard.token cozeq dashboard --http 0.0.0.0:8081
  cozeq dashboard --prometheus-addr http://localhost:9090 --monitor-write`,
		Args: wants(0, 0, ""),
		RunE: c.run,
	}
	addMonitor(cmd)
	addSettings(cmd, settingRedis, settingHTTP, settingLog)
	return cmd
}

func (c *dashboardCommand) run(cmd *cobra.Command, _ []string) error {
	cfg := configOf(cmd, c.streams)
	level, err := cfg.level(slog.LevelWarn)
	if err != nil {
		return err
	}
	logger := newLogger(c.streams.Err, c.streams.ErrTTY, level)
	addr, err := cfg.http(defaultDashboard)
	if err != nil {
		return err
	}
	if addr == "" {
		_, source := cfg.lookup(settingHTTP, "")
		return cfg.bad(source, "off, and a dashboard does nothing else")
	}
	plan, err := cfg.dashboard(cmd.Context(), addr)
	if err != nil {
		return err
	}
	s, err := newShared(cfg, dashboardPool, logger)
	if err != nil {
		return err
	}
	defer s.close()
	web, err := startSite(cmd.Context(), plan.addr, site{ready: s.remote.ping, metrics: newObserver(s), dashboard: dashboardHandler(plan, s, logger)}, logger)
	if err != nil {
		return err
	}
	defer web.close()
	fmt.Fprintln(c.streams.Out, web.url+monitor.Root)
	fmt.Fprintln(c.streams.Err, explain(plan))
	// The pages say so, too, as long as Redis does not answer.
	if err := s.remote.await(cmd.Context(), logger); err != nil {
		return whileServing(cmd.Context(), err)
	}
	<-cmd.Context().Done()
	return whileServing(cmd.Context(), context.Cause(cmd.Context()))
}

// explain says who may do what.
func explain(p *dashboardPlan) string {
	what, who := "read-only", "for this machine only, without a login"
	if p.write {
		what = "with buttons that change things"
	}
	if p.token != nil {
		who = "log in with any name, and the token as password"
	}
	return "dashboard, " + what + "; " + who
}
