package run

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// plan is a run with its settings read and its input checked: nothing was asked
// yet, and whatever is wrong so far is the caller's to mend.
type plan struct {
	cfg     settings.Config
	input   *input.Input
	worker  worker.Config
	account settings.Account
	own     bool   // a worker in this process
	http    string // where it serves its metrics; "" = nowhere
	logger  *slog.Logger

	patience pausewatch.Timeouts
}

func (c *runCommand) plan(cmd *cobra.Command, args []string, panel *panel.Panel) (p plan, err error) {
	p.cfg = settings.Of(cmd, c.streams)
	if err := c.check(cmd, p.cfg, args); err != nil {
		return p, err
	}
	o, err := c.input.Options(cmd)
	if err != nil {
		return p, err
	}
	if c.output != "" {
		if err := output.Check(c.output); err != nil {
			return p, err
		}
	}
	level, err := p.cfg.Level(slog.LevelWarn)
	if err != nil {
		return p, err
	}
	p.logger = terminal.NewLogger(panel, c.streams.ErrTTY, level)
	if _, err := p.cfg.Keys(); err != nil {
		return p, err
	}
	p.own = c.alone(p.cfg) || c.withWorker
	p.worker = worker.Config{BotID: p.cfg.Text(settings.Bot, ""), Drain: session.DrainOf(c.drain), Logger: p.logger}
	if p.worker.Concurrency, err = p.cfg.Concurrency(); err != nil {
		return p, err
	}
	if err := c.queues(cmd, &p); err != nil {
		return p, err
	}
	if p.worker.Rate, err = p.cfg.Rate(); err != nil {
		return p, err
	}
	if p.patience, err = pausewatch.TimeoutsOf(cmd, c.patience, pausewatch.Timeouts{Quota: pausewatch.QuotaTimeout, Outage: pausewatch.OutageTimeout}); err != nil {
		return p, err
	}
	if p.http, err = p.cfg.HTTP(""); err != nil {
		return p, err
	}
	switch {
	case c.demo:
		p.worker.BotID = cmp.Or(p.worker.BotID, demoBot)
		p.account.Codes, err = p.cfg.Codes()
	case p.own:
		p.account, err = p.cfg.Account(cmd.Context(), c.ownCredential(p.cfg))
	}
	if c.alone(p.cfg) {
		p.account.Others = nil // no question names one
	}
	if err != nil {
		if p.worker.BotID == "" {
			bot := settings.MissingBot()
			bot.How += "; or name one in each row, as bot_id"
			err = settings.AddMissingBot(err, bot)
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
func (c *runCommand) ownCredential(cfg settings.Config) string {
	if c.alone(cfg) {
		return c.credential
	}
	return ""
}

func (c *runCommand) alone(cfg settings.Config) bool { return c.demo || !cfg.Shared() }

// queues are those that an own worker serves: alone there is but one.
func (c *runCommand) queues(cmd *cobra.Command, p *plan) (err error) {
	if !p.own {
		return nil
	}
	if c.alone(p.cfg) {
		p.worker.Queues = session.QueuesOf(c.queue)
		return nil
	}
	if p.worker.Queues, err = p.cfg.Queues(); err != nil {
		return err
	}
	for queue := range session.QueuesOf(c.queue) {
		if p.worker.Queues[queue] == 0 {
			return misuse.Errorf(cmd, "--with-worker: the worker would not serve --queue %s: add it to --queues", c.queue)
		}
	}
	return nil
}

func (c *runCommand) check(cmd *cobra.Command, cfg settings.Config, args []string) error {
	if _, err := tasks.Shards(c.queue); err != nil {
		return misuse.Errorf(cmd, "--queue: %w", err)
	}
	if c.credential != "" {
		if err := settings.CheckCredentialName(c.credential); err != nil {
			return misuse.Errorf(cmd, "--credential: %w", err)
		}
	}
	if err := session.CheckWorkerWait(cmd, c.workerWait, !c.alone(cfg)); err != nil {
		return err
	}
	redisFlag := cmd.Flags().Changed(settings.Redis)
	if err := c.bounds.check(cmd, c.output, c.retryFailed); err != nil {
		return err
	}
	switch {
	case len(args) == 0 && !c.demo:
		return misuse.Errorf(cmd, "INPUT is missing: a file of questions, or - for stdin")
	case c.demo && redisFlag:
		return misuse.Errorf(cmd, "--demo works alone: leave --redis out")
	case c.withWorker && c.alone(cfg):
		return misuse.Errorf(cmd, "--with-worker %w; alone there is a worker in any case", session.ErrNeedsRedis)
	case cmd.Flags().Changed(settings.Rate) && !c.alone(cfg) && !c.withWorker:
		return misuse.Errorf(cmd, "--rate %w", session.ErrNeedsWorker)
	case cmd.Flags().Changed(settings.MaxAnswer) && !c.alone(cfg) && !c.withWorker:
		return misuse.Errorf(cmd, "--%s %w", settings.MaxAnswer, session.ErrNeedsWorker)
	case c.credential != "" && c.demo:
		return misuse.Errorf(cmd, "--demo asks a mock, with no credential: leave --credential out")
	case c.onTurnFailure != tasks.TurnSkip && c.onTurnFailure != tasks.TurnBlock:
		return misuse.Errorf(cmd, "--on-turn-failure %q, want %s or %s", c.onTurnFailure, tasks.TurnSkip, tasks.TurnBlock)
	case c.json && c.output == "":
		return misuse.Errorf(cmd, "--json prints the summary and needs -o; without -o the records themselves are JSON")
	case c.retryFailed && c.output == "":
		return misuse.Errorf(cmd, "--retry-failed needs -o: the file with the failed questions")
	case c.retryFailed && c.force:
		return misuse.Errorf(cmd, "--retry-failed and --force: choose one")
	case c.window < 1 && cmd.Flags().Changed("window"):
		return misuse.Errorf(cmd, "--window %d, want at least 1", c.window)
	case c.attempts < 1:
		return misuse.Errorf(cmd, "--attempts %d, want at least 1", c.attempts)
	case c.timeout < time.Second:
		return misuse.Errorf(cmd, "--timeout %v, want at least 1s", c.timeout)
	case c.keep < 0 || c.drain < 0:
		return misuse.Errorf(cmd, "--keep and --drain must not be negative")
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
	return settings.OpenInput(cmd, path, o)
}
