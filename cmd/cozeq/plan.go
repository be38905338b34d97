package main

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// plan is a run with its settings read and its input checked: nothing was asked
// yet, and whatever is wrong so far is the caller's to mend.
type plan struct {
	cfg     config
	input   *input.Input
	worker  worker.Config
	account account
	own     bool   // a worker in this process
	http    string // where it serves its metrics; "" = nowhere
	logger  *slog.Logger

	patience patiences
}

func (c *runCommand) plan(cmd *cobra.Command, args []string, panel *panel) (p plan, err error) {
	p.cfg = configOf(cmd, c.streams)
	if err := c.check(cmd, p.cfg, args); err != nil {
		return p, err
	}
	o, err := c.input.options(cmd)
	if err != nil {
		return p, err
	}
	if c.output != "" {
		if err := output.Check(c.output); err != nil {
			return p, err
		}
	}
	level, err := p.cfg.level(slog.LevelWarn)
	if err != nil {
		return p, err
	}
	p.logger = newLogger(panel, c.streams.ErrTTY, level)
	if _, err := p.cfg.keys(); err != nil {
		return p, err
	}
	p.own = c.alone(p.cfg) || c.withWorker
	p.worker = worker.Config{BotID: p.cfg.text(settingBot, ""), Drain: drainOf(c.drain), Logger: p.logger}
	if p.worker.Concurrency, err = p.cfg.concurrency(); err != nil {
		return p, err
	}
	if err := c.queues(cmd, &p); err != nil {
		return p, err
	}
	if p.worker.Rate, err = p.cfg.rate(); err != nil {
		return p, err
	}
	if p.patience, err = patienceOf(cmd, c.patience, patiences{quota: quotaPatience, way: wayPatience}); err != nil {
		return p, err
	}
	if p.http, err = p.cfg.http(""); err != nil {
		return p, err
	}
	switch {
	case c.demo:
		p.worker.BotID = cmp.Or(p.worker.BotID, demoBot)
		p.account.codes, err = p.cfg.codes()
	case p.own:
		p.account, err = p.cfg.account(cmd.Context(), c.ownCredential(p.cfg))
	}
	if c.alone(p.cfg) {
		p.account.others = nil // no question names one
	}
	if err != nil {
		if p.worker.BotID == "" {
			bot := missingBot()
			bot.how += "; or name one in each row, as bot_id"
			err = noBot(err, bot)
		}
		return p, err
	}
	if p.input, err = c.open(cmd, args, p, o); err != nil {
		return p, err
	}
	if c.output != "" {
		err = output.CheckFor(cmd.Context(), p.input, c.output)
	}
	return p, err
}

// ownCredential is the one that the worker of this process asks with by default:
// alone that of --credential; otherwise the questions name it themselves.
func (c *runCommand) ownCredential(cfg config) string {
	if c.alone(cfg) {
		return c.credential
	}
	return ""
}

func (c *runCommand) alone(cfg config) bool { return c.demo || !cfg.shared() }

// queues are those that an own worker serves: alone there is but one.
func (c *runCommand) queues(cmd *cobra.Command, p *plan) (err error) {
	if !p.own {
		return nil
	}
	if c.alone(p.cfg) {
		p.worker.Queues = queuesOf(c.queue)
		return nil
	}
	if p.worker.Queues, err = p.cfg.queues(); err != nil {
		return err
	}
	for queue := range queuesOf(c.queue) {
		if p.worker.Queues[queue] == 0 {
			return usagef(cmd, "--with-worker: the worker would not serve --queue %s: add it to --queues", c.queue)
		}
	}
	return nil
}

func (c *runCommand) check(cmd *cobra.Command, cfg config, args []string) error {
	if _, err := tasks.Shards(c.queue); err != nil {
		return usagef(cmd, "--queue: %w", err)
	}
	if c.credential != "" {
		if err := checkCredential(c.credential); err != nil {
			return usagef(cmd, "--credential: %w", err)
		}
	}
	if err := checkWorkerWait(cmd, c.workerWait, !c.alone(cfg)); err != nil {
		return err
	}
	redisFlag := cmd.Flags().Changed(settingRedis)
	if err := c.bounds.check(cmd, c.output, c.retryFailed); err != nil {
		return err
	}
	switch {
	case len(args) == 0 && !c.demo:
		return usagef(cmd, "INPUT is missing: a file of questions, or - for stdin")
	case c.demo && redisFlag:
		return usagef(cmd, "--demo works alone: leave --redis out")
	case c.withWorker && c.alone(cfg):
		return usagef(cmd, "--with-worker %w; alone there is a worker in any case", errNeedsRedis)
	case cmd.Flags().Changed(settingRate) && !c.alone(cfg) && !c.withWorker:
		return usagef(cmd, "--rate %w", errNeedsWorker)
	case cmd.Flags().Changed(settingMaxAnswer) && !c.alone(cfg) && !c.withWorker:
		return usagef(cmd, "--%s %w", settingMaxAnswer, errNeedsWorker)
	case c.credential != "" && c.demo:
		return usagef(cmd, "--demo asks a mock, with no credential: leave --credential out")
	case c.onTurnFailure != tasks.TurnSkip && c.onTurnFailure != tasks.TurnBlock:
		return usagef(cmd, "--on-turn-failure %q, want %s or %s", c.onTurnFailure, tasks.TurnSkip, tasks.TurnBlock)
	case c.json && c.output == "":
		return usagef(cmd, "--json prints the summary and needs -o; without -o the records themselves are JSON")
	case c.retryFailed && c.output == "":
		return usagef(cmd, "--retry-failed needs -o: the file with the failed questions")
	case c.retryFailed && c.force:
		return usagef(cmd, "--retry-failed and --force: choose one")
	case c.window < 1 && cmd.Flags().Changed("window"):
		return usagef(cmd, "--window %d, want at least 1", c.window)
	case c.attempts < 1:
		return usagef(cmd, "--attempts %d, want at least 1", c.attempts)
	case c.timeout < time.Second:
		return usagef(cmd, "--timeout %v, want at least 1s", c.timeout)
	case c.keep < 0 || c.drain < 0:
		return usagef(cmd, "--keep and --drain must not be negative")
	}
	return nil
}

// open opens the input and checks all of it.
func (c *runCommand) open(cmd *cobra.Command, args []string, p plan, o input.Options) (*input.Input, error) {
	o.Stdin, o.BotID, o.Live = c.streams.In, p.worker.BotID, c.output == ""
	if !c.alone(p.cfg) {
		o.Credential = c.credential
	}
	if c.onTurnFailure != tasks.TurnSkip {
		o.OnTurnFailure = c.onTurnFailure
	}
	path := "-"
	if len(args) > 0 {
		path = args[0]
	} else {
		o.Content, o.Format = demoQuestions, string(input.JSONL)
	}
	return openInput(cmd, path, o)
}
