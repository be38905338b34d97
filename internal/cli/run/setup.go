package run

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/command"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/worker"
)

//go:embed demo/questions.jsonl
var demoQuestions []byte

// setup is a run with its settings read and its input checked. Nothing was asked yet.
type setup struct {
	cfg     settings.Config
	input   *input.Input
	worker  worker.Config
	account settings.Account
	own     bool   // a worker in this process
	http    string // where it serves its metrics; "" = nowhere
	logger  *slog.Logger

	patience pausewatch.Timeouts
}

func (o *options) setup(cmd *cobra.Command, args []string, panel *panel.Panel) (p setup, err error) {
	p.cfg = settings.Of(cmd, o.streams)
	if err := o.check(cmd, p.cfg, args); err != nil {
		return p, err
	}
	inputOptions, err := o.input.Options(cmd)
	if err != nil {
		return p, err
	}
	if o.output != "" {
		if err := output.Check(o.output); err != nil {
			return p, err
		}
	}
	if p.logger, err = p.cfg.Logger(panel, o.streams.ErrTTY, slog.LevelWarn); err != nil {
		return p, err
	}
	if _, err := p.cfg.Keys(); err != nil {
		return p, err
	}
	p.own = o.alone(p.cfg) || o.withWorker
	p.worker = worker.Config{BotID: p.cfg.Text(settings.Bot, ""), Drain: session.DrainOf(o.drain), Logger: p.logger}
	if p.worker.Concurrency, err = p.cfg.Concurrency(); err != nil {
		return p, err
	}
	if err := o.queues(cmd, &p); err != nil {
		return p, err
	}
	if p.worker.Rate, err = p.cfg.Rate(); err != nil {
		return p, err
	}
	toolsOf := &p.worker
	if !p.own {
		toolsOf = nil
	}
	if err := o.tools.Apply(p.cfg, toolsOf); err != nil {
		return p, err
	}
	if p.patience, err = pausewatch.TimeoutsOf(cmd, o.patience, pausewatch.Timeouts{Quota: pausewatch.QuotaTimeout, Outage: pausewatch.OutageTimeout}); err != nil {
		return p, err
	}
	if p.http, err = p.cfg.HTTP(""); err != nil {
		return p, err
	}
	switch {
	case o.demo:
		p.worker.BotID = cmp.Or(p.worker.BotID, demoBot)
		p.account.Codes, err = p.cfg.Codes()
	case p.own:
		p.account, err = p.cfg.Account(cmd.Context(), o.ownCredential(p.cfg))
	}
	if o.alone(p.cfg) {
		p.account.Others = nil // no question names one
	}
	if err != nil {
		if p.worker.BotID == "" && o.workflow.NeedsBot() {
			bot := settings.MissingBot()
			bot.How += "; or name one in each row, as bot_id"
			err = settings.AddMissingBot(err, bot)
		}
		return p, err
	}
	if p.input, err = o.open(cmd, args, p, inputOptions); err != nil {
		return p, err
	}
	if o.output != "" {
		err = output.CheckFor(cmd.Context(), p.input, o.output)
	}
	if err == nil && !p.own {
		err = o.uploader(cmd.Context(), &p)
	}
	return p, err
}

// uploader reads the account that the files of the questions are uploaded with where the workers are other processes.
func (o *options) uploader(ctx context.Context, p *setup) (err error) {
	if !p.input.Live() {
		if stats, err := p.input.Check(ctx); err != nil || stats.Files == 0 {
			return err
		}
	}
	p.account, err = p.cfg.UploadAccount(ctx, o.questions.Credential)
	if _, missing := errors.AsType[*exitcode.MissingError](err); missing && p.input.Live() {
		return nil // perhaps no row has a file; one that has ends as invalid
	}
	return err
}

// ownCredential is the one that the worker of this process asks with by default:
// alone that of --credential; otherwise the questions name it themselves.
func (o *options) ownCredential(cfg settings.Config) string {
	if o.alone(cfg) {
		return o.questions.Credential
	}
	return ""
}

func (o *options) alone(cfg settings.Config) bool { return o.demo || !cfg.Shared() }

// queues sets the queues of this process's worker. Without a shared Redis there is one.
func (o *options) queues(cmd *cobra.Command, p *setup) (err error) {
	if !p.own {
		return nil
	}
	if o.alone(p.cfg) {
		p.worker.Queues = session.QueuesOf(o.questions.Queue)
		return nil
	}
	if p.worker.Queues, err = p.cfg.Queues(); err != nil {
		return err
	}
	for queue := range session.QueuesOf(o.questions.Queue) {
		if p.worker.Queues[queue] == 0 {
			return misuse.Errorf(cmd, "--with-worker: the worker would not serve --queue %s: add it to --queues", o.questions.Queue)
		}
	}
	return nil
}

func (o *options) check(cmd *cobra.Command, cfg settings.Config, args []string) error {
	if err := o.questions.Check(cmd); err != nil {
		return err
	}
	if err := session.CheckWorkerWait(cmd, o.workerWait, !o.alone(cfg)); err != nil {
		return err
	}
	if err := session.CheckOwnWorker(cmd, o.withWorker, !o.alone(cfg), settings.WebhookAllow); err != nil {
		return err
	}
	if o.onResult != "" {
		var err error
		if o.command, err = command.Parse(o.onResult); err != nil {
			return misuse.Errorf(cmd, "--on-result: %w", err)
		}
	}
	redisFlag := cmd.Flags().Changed(settings.Redis)
	if err := o.bounds.check(cmd, o.output, o.retryFailed); err != nil {
		return err
	}
	switch {
	case o.workflow.Workflow != "" && len(args) == 0:
		return misuse.Errorf(cmd, "--workflow needs INPUT: a file with a column for each parameter")
	case len(args) == 0 && !o.demo:
		return misuse.Errorf(cmd, "INPUT is missing: a file of questions, or - for stdin")
	case o.demo && redisFlag:
		return misuse.Errorf(cmd, "--demo works alone: leave --redis out")
	case o.questions.Credential != "" && o.demo:
		return misuse.Errorf(cmd, "--demo asks a mock, with no credential: leave --credential out")
	case o.json && o.output == "":
		return misuse.Errorf(cmd, "--json prints the summary and needs -o; without -o the records themselves are JSON")
	case o.onResult != "" && o.output == "":
		return misuse.Errorf(cmd, "--on-result needs -o: its journal knows what the command has acknowledged")
	case o.retryFailed && o.output == "":
		return misuse.Errorf(cmd, "--retry-failed needs -o: the file with the failed questions")
	case o.retryFailed && o.force:
		return misuse.Errorf(cmd, "--retry-failed and --force: choose one")
	case o.window < 1 && cmd.Flags().Changed("window"):
		return misuse.Errorf(cmd, "--window %d, want at least 1", o.window)
	case o.keep < 0 || o.drain < 0:
		return misuse.Errorf(cmd, "--keep and --drain must not be negative")
	}
	return nil
}

// open opens the input and checks all of it.
func (o *options) open(cmd *cobra.Command, args []string, p setup, in input.Options) (*input.Input, error) {
	in.Stdin, in.BotID, in.Live, in.CheckFile = o.streams.In, p.worker.BotID, o.output == "", attachment.Check
	if !o.alone(p.cfg) {
		in.Credential = o.questions.Credential
	}
	in.OnTurnFailure = o.questions.OnTurnFailure
	if err := o.workflow.Apply(cmd, &in); err != nil {
		return nil, err
	}
	path := "-"
	if len(args) > 0 {
		path = args[0]
	} else {
		in.Content, in.Format = demoQuestions, string(input.JSONL)
	}
	return settings.OpenInput(cmd, path, in)
}
