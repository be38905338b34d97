// Package dashboard is the command dashboard: it serves the pages of internal/dashboard for a shared Redis, without a worker.
package dashboard

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/internal/httpserver"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

// Options are what the command line says.
type Options struct {
	Streams  *terminal.Streams
	Settings settings.Config
}

func New(s *terminal.Streams) *cobra.Command {
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
		Args: misuse.CheckArgs(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), &Options{s, settings.Of(cmd, s)})
		},
	}
	settings.AddDashboardFlags(cmd)
	settings.AddFlags(cmd, settings.Redis, settings.HTTP, settings.Log)
	return cmd
}

func run(ctx context.Context, o *Options) error {
	cfg := o.Settings
	logger, err := cfg.Logger(o.Streams.Err, o.Streams.ErrTTY, slog.LevelWarn)
	if err != nil {
		return err
	}
	addr, err := cfg.HTTP(settings.DefaultDashboard)
	if err != nil {
		return err
	}
	if addr == "" {
		_, source := cfg.Lookup(settings.HTTP, "")
		return cfg.Errorf(source, "off, and a dashboard does nothing else")
	}
	plan, err := cfg.Dashboard(ctx, addr)
	if err != nil {
		return err
	}
	s, err := session.NewShared(cfg, httpserver.DashboardPool, logger)
	if err != nil {
		return err
	}
	defer s.Close()
	web, err := httpserver.Start(ctx, plan.Addr, httpserver.Config{
		Ready: s.Remote.Ping, Metrics: httpserver.NewObserver(s), Dashboard: httpserver.NewDashboard(plan, s, logger),
	}, logger)
	if err != nil {
		return err
	}
	defer web.Close()
	fmt.Fprintln(o.Streams.Out, web.URL+dashboard.Root)
	fmt.Fprintln(o.Streams.Err, explain(plan))
	// The pages work meanwhile, and say that Redis does not answer.
	if err := s.Remote.Await(ctx, logger); err != nil {
		return httpserver.WhileServing(ctx, err)
	}
	<-ctx.Done()
	return httpserver.WhileServing(ctx, context.Cause(ctx))
}

func explain(p *settings.Dashboard) string {
	what, who := "read-only", "for this machine only, without a login"
	if p.Write {
		what = "with buttons that change things"
	}
	if p.Token != nil {
		who = "log in with any name, and the token as password"
	}
	return "dashboard, " + what + "; " + who
}
