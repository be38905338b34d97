// Package worker is the command worker: it serves the queues of a shared Redis until a signal, then drains.
package worker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/httpserver"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/worker"
)

type options struct {
	streams *terminal.Streams
	drain   time.Duration
	keep    time.Duration
	rules   session.RedisRules
	tools   session.Tools
}

func New(s *terminal.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Serve the queues of a shared Redis",
		Long: `Takes questions from the queues of a shared Redis, asks Coze and writes the
results, until SIGTERM or SIGINT. Then it takes no new questions, lets the chats
in flight finish (--drain) and puts the rest back for other workers.

It asks with the configured token. A question that names a credential is asked
with that one, from $COZEQ_CREDENTIALS_FILE (see 'cozeq help environment').

All workers of a Redis together learn how many chats a second Coze accepts. When
Coze refuses the token or the quota, the worker pauses the queues and resumes
them once a question succeeds; see 'cozeq queues'.

If Redis is not there yet, the worker waits for it. On --http it serves
/metrics, /healthz, /readyz and, at /monitor, the dashboard. If other machines
can reach that address, it starts only with a token for the dashboard or with
--monitor off.`,
		Example: `  COZE_API_TOKEN_FILE=/run/secrets/coze \
    cozeq worker --redis redis://redis:6379/0
  cozeq worker --concurrency 500 --queues critical=6,default=3,low=1
  cozeq worker --rate 300/m
  cozeq worker --tool get_weather=./weather.py --tool-timeout 20s`,
		Args: misuse.CheckArgs(0, 0, ""),
		RunE: o.run,
	}
	settings.AddDrain(cmd, &o.drain)
	flags.Duration(cmd.Flags(), &o.keep, "keep", results.DefaultKeep, "keep results this long if the question does not say")
	o.rules.AddFlag(cmd.Flags())
	o.tools.AddFlags(cmd)
	settings.AddFlags(cmd, settings.Redis, settings.Base, settings.Bot, settings.Concurrency, settings.Queues, settings.Rate, settings.HTTP, settings.Monitor, settings.Log, settings.Codes, settings.MaxAnswer)
	settings.AddDashboardFlags(cmd)
	return cmd
}

func (o *options) run(cmd *cobra.Command, _ []string) error {
	cfg := settings.Of(cmd, o.streams)
	wc, err := o.config(cmd, cfg)
	if err != nil {
		return err
	}
	addr, err := cfg.HTTP(settings.DefaultHTTP)
	if err != nil {
		return err
	}
	plan, err := cfg.Dashboard(cmd.Context(), addr)
	if err != nil {
		return err
	}
	s, err := session.NewShared(cfg, wc.Concurrency, wc.Logger)
	if err != nil {
		return err
	}
	defer s.Close()
	account, err := cfg.Account(cmd.Context(), "")
	if err != nil {
		return err
	}
	web := httpserver.Config{}
	if plan != nil {
		addr = plan.Addr
		// Connections of its own: people who look must not hold those of chats.
		s, err := session.NewShared(cfg, httpserver.DashboardPool, wc.Logger)
		if err != nil {
			return err
		}
		defer s.Close()
		web.Dashboard = httpserver.NewDashboard(plan, s, wc.Logger)
	}
	return o.serve(cmd.Context(), s, account, wc, addr, web)
}

func (o *options) config(cmd *cobra.Command, cfg settings.Config) (wc worker.Config, err error) {
	logger, err := cfg.Logger(o.streams.Err, o.streams.ErrTTY, slog.LevelInfo)
	if err != nil {
		return wc, err
	}
	wc = worker.Config{
		BotID: cfg.Text(settings.Bot, ""), Drain: session.DrainOf(o.drain), Keep: o.keep,
		Logger: logger,
	}
	if wc.Concurrency, err = cfg.Concurrency(); err != nil {
		return wc, err
	}
	if wc.Queues, err = cfg.Queues(); err != nil {
		return wc, err
	}
	if wc.Rate, err = cfg.Rate(); err != nil {
		return wc, err
	}
	if err := o.tools.Apply(cfg, &wc); err != nil {
		return wc, err
	}
	if o.keep < time.Second {
		return wc, misuse.Errorf(cmd, "--keep %v, want at least 1s", o.keep)
	}
	return wc, nil
}

// serve works until a signal, then drains.
func (o *options) serve(signals context.Context, s *session.Session, a settings.Account, wc worker.Config, addr string, web httpserver.Config) error {
	ctx, cancel := context.WithCancelCause(signals)
	defer cancel(nil)
	wc.Metrics, web.Metrics = httpserver.NewMetrics(s, a, slices.Sorted(maps.Keys(wc.Queues)))
	web.Ready, web.Chats = s.Ready.Check, wc.Concurrency
	if addr != "" {
		server, err := httpserver.Start(ctx, addr, web, wc.Logger)
		if err != nil {
			return err
		}
		defer server.Close()
	}
	if err := s.Remote.Await(ctx, wc.Logger); err != nil {
		return httpserver.WhileServing(signals, err)
	}
	if err := o.rules.Check(ctx, s.Redis, wc.Logger); err != nil {
		return err
	}
	if err := s.StartWorker(ctx, a, wc, cancel); err != nil {
		return err
	}
	<-ctx.Done()
	s.Worker.Drain()
	return httpserver.WhileServing(signals, context.Cause(ctx))
}
