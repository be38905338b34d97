package main

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/worker"
)

type workerCommand struct {
	streams *streams
	drain   time.Duration
	keep    time.Duration
	rules   redisRules
}

func newWorkerCmd(s *streams) *cobra.Command {
	c := &workerCommand{streams: s}
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
  cozeq worker --rate 300/m`,
		Args: wants(0, 0, ""),
		RunE: c.run,
	}
	addDrain(cmd, &c.drain)
	flags.Duration(cmd.Flags(), &c.keep, "keep", results.DefaultKeep, "keep results this long if the question does not say")
	c.rules.addFlag(cmd.Flags())
	addSettings(cmd, settingRedis, settingBase, settingBot, settingConcurrency, settingQueues, settingRate, settingHTTP, settingMonitor, settingLog, settingCodes, settingMaxAnswer)
	addMonitor(cmd)
	return cmd
}

func (c *workerCommand) run(cmd *cobra.Command, _ []string) error {
	cfg := configOf(cmd, c.streams)
	level, err := cfg.level(slog.LevelInfo)
	if err != nil {
		return err
	}
	logger := newLogger(c.streams.Err, c.streams.ErrTTY, level)
	wc := worker.Config{BotID: cfg.text(settingBot, ""), Drain: drainOf(c.drain), Logger: logger}
	if wc.Concurrency, err = cfg.concurrency(); err != nil {
		return err
	}
	if wc.Queues, err = cfg.queues(); err != nil {
		return err
	}
	if wc.Rate, err = cfg.rate(); err != nil {
		return err
	}
	addr, err := cfg.http(defaultHTTP)
	if err != nil {
		return err
	}
	plan, err := cfg.dashboard(cmd.Context(), addr)
	if err != nil {
		return err
	}
	if c.keep < time.Second {
		return usagef(cmd, "--keep %v, want at least 1s", c.keep)
	}
	s, err := newShared(cfg, wc.Concurrency, logger)
	if err != nil {
		return err
	}
	defer s.close()
	wc.Keep = c.keep
	account, err := cfg.account(cmd.Context(), "")
	if err != nil {
		return err
	}
	web := site{}
	if plan != nil {
		addr = plan.addr
		// Connections of its own: people who look must not hold those of chats.
		s, err := newShared(cfg, dashboardPool, logger)
		if err != nil {
			return err
		}
		defer s.close()
		web.dashboard = dashboardHandler(plan, s, logger)
	}
	return c.serve(cmd.Context(), s, account, wc, addr, web)
}

func (c *workerCommand) serve(signals context.Context, s *session, a account, wc worker.Config, addr string, web site) error {
	ctx, cancel := context.WithCancelCause(signals)
	defer cancel(nil)
	wc.Metrics, web.metrics = newMetrics(s, a, slices.Sorted(maps.Keys(wc.Queues)))
	web.ready, web.chats = s.ready.check, wc.Concurrency
	if addr != "" {
		server, err := startSite(ctx, addr, web, wc.Logger)
		if err != nil {
			return err
		}
		defer server.close()
	}
	if err := s.remote.await(ctx, wc.Logger); err != nil {
		return whileServing(signals, err)
	}
	if err := c.rules.check(ctx, s.rdb, wc.Logger); err != nil {
		return err
	}
	if err := s.startWorker(ctx, a, wc, cancel); err != nil {
		return err
	}
	<-ctx.Done()
	s.worker.drain()
	return whileServing(signals, context.Cause(ctx))
}
