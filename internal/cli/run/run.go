// Package run is the command run: it asks every question of a file and writes every answer. It reads the settings
// (setup.go), opens a session, lets internal/filerun do the work and says how it ended (end.go).
package run

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/conversation"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/mockserver"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/site"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

//go:embed demo/questions.jsonl
var demoQuestions []byte

// The demo's mock takes about a second for an answer, so that there is something
// to see; the longest conversation has four.
const (
	demoBot     = "demo"
	demoLatency = 500 * time.Millisecond
	demoPace    = 40 * time.Millisecond
)

// smallWindow keeps the embedded store small while no question has a conversation: with 10,000 rows in it a row takes
// 1.3 times the CPU.
const smallWindow = 1000

type runCommand struct {
	streams *terminal.Streams

	output      string
	input       settings.InputFlags
	demo        bool
	withWorker  bool
	bounds      runBounds
	rules       session.RedisRules
	retryFailed bool
	force       bool
	json        bool
	window      int
	attempts    int
	keep        time.Duration
	timeout     time.Duration
	drain       time.Duration
	patience    time.Duration
	workerWait  time.Duration
	queue       string
	credential  string

	onTurnFailure string
}

func New(s *terminal.Streams) *cobra.Command {
	c := &runCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "run INPUT [-o OUTPUT]",
		Short: "Ask every question of a file and write every answer",
		Long: `Asks every question of INPUT and writes one record for each, in the order of
INPUT. Without --redis this process does the work itself; it first checks that
Coze accepts the token. With --redis the workers there do the work.

INPUT is .jsonl (our rows or those of OpenAI's batches), .json (an array of
objects), .csv, .tsv or .xlsx (a header row, with a column question or the one
of --question-col), .txt (one question per line), or - for stdin. All but .xlsx
may be compressed (.gz). Encoding and delimiter are detected.

A row may also have custom_id, bot_id, user_id, conversation_id,
conversation_key, custom_variables, parameters and meta_data, and files to send
with the question: file_url, file_id, image_url, image_id. Questions with the
same conversation_key are asked one after the other, in one conversation.

OUTPUT has one record per row, after the input's own columns. It exists only
when it is complete. Until then, OUTPUT.partial is the journal. After any
interruption, run the same command again: it asks nothing that was answered,
and looks up the chats that were in flight. Without -o, records go to stdout as
they end, and a run cannot be resumed. A pipe on stdin is then read line by
line, so a program may write a question and wait for its record; a bad line
gets a record of class invalid.

--estimate asks a sample and says what the rest will cost. --max-tokens and
--max-questions stop the run with exit code 3; run it again with a higher limit
to continue. --cache never asks what any run with the same DIR has answered.

While Coze refuses everything, because the token is invalid or the quota is used
up, the run waits for --patience and then ends with exit code 4. If Coze is
unreachable, it ends with exit code 1. A bot that cannot be asked delays its own
questions only.

The first signal lets the chats in flight finish (--drain). A second one stops
at once.`,
		Example: `  cozeq run --demo
  cozeq run questions.csv -o answers.csv --bot 73428668
  cozeq run 客服问题.xlsx --sheet 三月 --question-col 问题 -o answers.xlsx
  cozeq run texts.csv.gz --prompt 'Translate: {{.text}}' -o out.jsonl.gz
  cozeq run questions.csv -o answers.csv --redis redis://localhost:6379/0
  cozeq run questions.csv -o answers.csv --estimate
  cozeq run questions.csv -o answers.csv --max-tokens 1000000 --cache answers
  cozeq run questions.csv -o answers.csv --retry-failed
  generate | cozeq run - --format txt | jq -r .answer`,
		Args: misuse.CheckArgs(0, 1, "INPUT"),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringVarP(&c.output, "output", "o", "", "write answers to `FILE`: .jsonl, .json, .csv, .tsv or .xlsx; all but .xlsx also with .gz")
	c.input.Add(cmd)
	f.BoolVar(&c.demo, "demo", false, "ask the built-in mock of Coze: no token, no costs; without INPUT, a few sample questions")
	f.BoolVar(&c.withWorker, "with-worker", false, "with --redis: run a worker in this process too")
	c.rules.AddFlag(f)
	c.bounds.add(cmd)
	f.BoolVar(&c.retryFailed, "retry-failed", false, "ask the failed questions again")
	f.BoolVar(&c.force, "force", false, "start over: discard OUTPUT and its journal")
	f.BoolVar(&c.json, "json", false, "with -o: print the summary as JSON on stdout; in a pipe, progress as JSON lines on stderr")
	f.IntVar(&c.window, "window", 0, "keep at most `N` questions in Redis at a time (default 10000)")
	f.IntVar(&c.attempts, "attempts", tasks.DefaultAttempts, settings.AttemptsUsage)
	flags.Duration(f, &c.timeout, "timeout", tasks.DefaultTimeout, "limit of one attempt")
	flags.Duration(f, &c.keep, "keep", 0, "with --redis: keep the run's batch, and results not yet collected, this long after the last question ends; at least 7d")
	settings.AddDrain(cmd, &c.drain)
	pausewatch.AddFlag(cmd, &c.patience, "10m for the quota, 2m while Coze is unreachable, 0s for a token or bot that is refused")
	session.AddWorkerWait(cmd, &c.workerWait)
	f.StringVar(&c.queue, "queue", tasks.QueueDefault, settings.QueueUsage)
	f.StringVar(&c.credential, "credential", "", "ask with the credential of this `NAME` in $COZEQ_CREDENTIALS_FILE; with --redis, in the workers' file")
	settings.AddTurnFailure(f, &c.onTurnFailure)
	settings.AddFlags(cmd, settings.Redis, settings.Base, settings.Bot, settings.Concurrency, settings.Queues, settings.Rate, settings.HTTP, settings.Log, settings.Codes, settings.MaxAnswer)
	return cmd
}

func (c *runCommand) run(cmd *cobra.Command, args []string) error {
	panel := panel.New(c.streams)
	p, err := c.plan(cmd, args, panel)
	if p.input != nil {
		defer p.input.Close()
	}
	if err != nil {
		return err
	}
	if text := settings.Detected(p.input); text != "" {
		fmt.Fprintln(panel, text)
	}
	boundMemory(p.worker.Concurrency)
	cache, err := c.bounds.openCache(p.cfg, c.demo)
	if err != nil {
		return err
	}
	if c.demo {
		m, err := mockserver.Start(cmd.Context(), "127.0.0.1:0", cozetest.Config{
			Latency: demoLatency, DeltaPace: demoPace, KeepLog: -1,
		})
		if err != nil {
			return err
		}
		defer m.Close()
		p.account.Base, p.account.Token = m.URL, coze.StaticToken(demoBot)
	}
	if p.own && !c.demo && c.asks() {
		if err := p.account.Preflight(cmd.Context(), panel, c.again()); err != nil {
			return c.explain(err)
		}
	}
	s, err := c.session(cmd.Context(), p)
	if err != nil {
		return err
	}
	defer s.Close()
	panel.Title = c.title(args, p.input)
	summary, err := c.ask(cmd.Context(), s, p, cache, panel)
	return c.conclude(cmd.Context(), s, p, cache, summary, err)
}

func (c *runCommand) session(ctx context.Context, p plan) (*session.Session, error) {
	if c.alone(p.cfg) {
		return session.OpenEmbedded(p.cfg, p.worker.Concurrency, p.logger)
	}
	s, err := session.OpenShared(ctx, p.cfg, p.worker.Concurrency, p.logger)
	if err != nil {
		return nil, err
	}
	if err := c.rules.Check(ctx, s.Redis, p.logger); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// ask does the work. It ends early on a signal, or when Coze refuses everything for
// longer than --patience.
func (c *runCommand) ask(signals context.Context, s *session.Session, p plan, cache *answercache.Cache, panel *panel.Panel) (progress.Summary, error) {
	ctx, cancel := context.WithCancelCause(signals)
	defer cancel(nil)
	job := &filerun.Job{
		Input:         p.input,
		Output:        c.output,
		Tasks:         s.Tasks,
		Results:       s.Results,
		Conversations: conversation.New(s.Redis),
		Options:       tasks.Options{Queue: c.queue, Attempts: c.attempts, Timeout: c.timeout, Keep: c.keep},
		Window:        c.window,
		RetryFailed:   c.retryFailed,
		Force:         c.force,
		Cache:         cache,
		Forget:        s.Embedded != nil,
	}
	if s.Embedded != nil && c.window == 0 {
		job.SmallWindow = max(smallWindow, 2*p.worker.Concurrency)
	}
	c.bounds.apply(job)
	if s.Embedded == nil && !p.input.Live() { // whose number of rows is not known
		job.Batches = s.Batches()
	}
	switch {
	case c.output != "":
	case c.streams.OutTTY:
		job.OnRecord = panel.Record
	default:
		job.Stdout = c.streams.Out
	}
	watch := pausewatch.New(s, c.queue, p.patience, cancel)
	watch.Flights, watch.Settle, watch.Say = job.Flights, pausewatch.FeedTime, panel
	watch.Done = func() int { return job.Snapshot().Done }
	watch.Again = c.again()
	panel.Note, panel.Limits, panel.JSON = watch.Note, watch.Limits, c.json
	if p.own {
		return c.askHere(ctx, signals, cancel, job, s, p, panel, watch)
	}
	return c.askThere(ctx, signals, job, s, panel, watch)
}

// askThere leaves the work to the workers of the shared Redis.
func (c *runCommand) askThere(ctx, signals context.Context, job *filerun.Job, s *session.Session, panel *panel.Panel, watch *pausewatch.Watch) (progress.Summary, error) {
	if err := s.AwaitServed(ctx, c.queue, c.workerWait, panel); err != nil {
		return progress.Summary{}, err
	}
	defer c.announce(signals, panel, "interrupted; the questions in the queue go on being answered")()
	defer session.WatchServed(ctx, func() error { return s.Served(c.queue) }, func(err error) {
		fmt.Fprintf(panel, "cozeq: %v any more: waiting for one to come back\n", err)
	})()
	defer watch.Start(ctx)()
	defer panel.Follow(job.Snapshot)()
	return job.Run(ctx)
}

// askHere has a worker in this process, which writes each step down in the
// journal.
func (c *runCommand) askHere(ctx, signals context.Context, cancel context.CancelCauseFunc, job *filerun.Job, s *session.Session, p plan, panel *panel.Panel, watch *pausewatch.Watch) (progress.Summary, error) {
	if p.http != "" {
		metrics, handler := site.NewMetrics(s, p.account, slices.Sorted(maps.Keys(p.worker.Queues)))
		m, err := site.Start(ctx, p.http, site.Site{Ready: s.Ready.Check, Metrics: handler, Chats: p.worker.Concurrency}, p.logger)
		if err != nil {
			return progress.Summary{}, err
		}
		defer m.Close()
		p.worker.Metrics = metrics
	}
	p.worker.OnProgress = func(ctx context.Context, at worker.Progress) error {
		return job.Progress(ctx, filerun.Progress(at))
	}
	p.worker.OnVerdict = func(id string, v worker.Verdict) {
		job.Stepped(id, waitOf(v))
		watch.Verdict(id, v)
	}
	p.worker.Answered = func() bool { // --retry-failed: that they fail is known
		at := job.Snapshot()
		return c.retryFailed || at.Done > at.Failed
	}
	if s.Embedded != nil {
		keepLimits(ctx, job, s, p, watch)
	}
	if err := s.StartWorker(ctx, p.account, p.worker, cancel); err != nil {
		return progress.Summary{}, err
	}
	job.Drain = s.Worker.Drain
	defer c.announce(signals, panel, c.draining())()
	defer watch.Start(ctx)()
	defer panel.Follow(job.Snapshot)()
	return job.Run(ctx)
}

// keepLimits has the journal remember the rates that were learnt: the embedded store forgets them with the process, and
// the next run would find them anew, from 20 calls a second.
func keepLimits(ctx context.Context, job *filerun.Job, s *session.Session, p plan, watch *pausewatch.Watch) {
	job.OnLimits = func(learnt map[string]float64) {
		if err := worker.KnowLimits(ctx, s.Redis, learnt); err != nil {
			p.logger.Debug("could not take up the rates of the last run, they will be learnt", "err", err)
			return
		}
		p.logger.Debug("starting at the rates of the last run", "calls_per_second", learnt)
	}
	watch.OnLimits = func(all []worker.Limit) {
		learnt := make(map[string]float64)
		for _, l := range all {
			if l.Learnt {
				learnt[l.Credential] = l.Rate
			}
		}
		if len(learnt) == 0 {
			return
		}
		if err := job.NoteLimits(ctx, learnt); err != nil {
			p.logger.Debug("could not note the rates, the next run will learn them", "err", err)
		}
	}
}

// announce says at the first signal what happens now. It ends with stop.
func (c *runCommand) announce(signals context.Context, panel *panel.Panel, text string) (stop func()) {
	said := make(chan struct{})
	cancel := context.AfterFunc(signals, func() {
		defer close(said)
		fmt.Fprintln(panel, "cozeq: "+text)
	})
	return func() {
		if !cancel() {
			<-said
		}
	}
}

// asks is false where OUTPUT, which exists only when it is complete, will be left
// alone: that needs no token.
func (c *runCommand) asks() bool {
	if c.output == "" || c.retryFailed || c.force {
		return true
	}
	_, err := os.Stat(c.output)
	return err != nil
}

// again says how to go on with a run that was cut short.
func (c *runCommand) again() string {
	if c.output == "" {
		return "run the command again; without -o it starts from the beginning"
	}
	return "run the same command again to go on: what is answered is not asked again"
}

// conclude prints the summary, where there is one to speak of, and turns the
// run's end into an error if it was not a good one.
func (c *runCommand) conclude(ctx context.Context, s *session.Session, p plan, cache *answercache.Cache, summary progress.Summary, err error) error {
	end := c.outcome(summary, err)
	if summary.Rows > 0 && (end == nil || err == nil || summary.Done() > 0 || errors.Is(err, context.Canceled)) {
		if printed := c.print(c.end(ctx, s, p, cache, summary, end)); printed != nil && end == nil {
			return printed
		}
	}
	return end
}

// outcome is the run's end as the command reports it.
func (c *runCommand) outcome(summary progress.Summary, err error) error {
	if e, ok := errors.AsType[*filerun.BudgetError](err); ok {
		return reached(e, summary)
	}
	if err != nil && !errors.Is(err, filerun.ErrSampled) {
		return c.explain(err)
	}
	if n := summary.Done() - summary.Answered; n > 0 && err == nil {
		e := &exitcode.SomeFailedError{Text: fmt.Sprintf("%s of %s got no answer", terminal.Count(n), terminal.Questions(summary.Rows))}
		if c.output != "" {
			e.Hint = "ask them again by the same command with --retry-failed"
		}
		return e
	}
	return nil
}

// sizeTime bounds the counting of what is in the cache.
const sizeTime = 3 * time.Second

// end is what there is to say at the end.
func (c *runCommand) end(ctx context.Context, s *session.Session, p plan, cache *answercache.Cache, summary progress.Summary, end error) runEnd {
	all := runEnd{Summary: summary, bounds: c.bounds, err: end}
	if summary.Estimate != nil {
		all.pace = c.pace(ctx, s, p)
	}
	if cache != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sizeTime)
		defer cancel()
		all.cache, all.cacheErr = new(cache.Size(ctx)), cache.Err()
	}
	return all
}

func (c *runCommand) pace(ctx context.Context, s *session.Session, p plan) pace {
	pace := pace{concurrency: p.worker.Concurrency, rate: p.worker.Rate}
	if !p.own {
		// Without word from Redis it is as if they were one of ours.
		if n, err := s.Concurrency(c.queue); err == nil && n > 0 {
			pace.concurrency = n
		}
	}
	limits, err := worker.Limits(ctx, s.Redis)
	if err != nil {
		return pace
	}
	for _, l := range limits {
		if l.Served {
			pace.learnt += l.Rate
		}
	}
	return pace
}

func (c *runCommand) print(all runEnd) error {
	if c.json {
		return terminal.WriteJSON(c.streams.Out, all.record())
	}
	return all.print(c.streams)
}

// title names what the panel shows.
func (c *runCommand) title(args []string, in *input.Input) string {
	title := filepath.Base(in.Name())
	if len(args) == 0 {
		title = "demo"
	}
	if c.output != "" {
		title += " → " + filepath.Base(c.output)
	}
	return title
}

// explain adds to an error what a person can do about it.
func (c *runCommand) explain(err error) error {
	edited := errors.Is(err, input.ErrEdited)
	switch {
	case errors.Is(err, context.Canceled):
		return &exitcode.InterruptedError{Again: c.again()}
	case edited && c.output != "":
		return &exitcode.HintedError{Err: err, Hint: "put the file back as it was and give the same command again to go on, or start over with --force"}
	case edited:
		return &exitcode.HintedError{Err: err, Hint: c.again()}
	case errors.Is(err, syscall.ENOSPC):
		return &exitcode.HintedError{Err: err, Hint: "make room on the disk, then " + c.again()}
	case errors.Is(err, journal.ErrLocked):
		return &exitcode.HintedError{Err: err, Hint: "wait for the other run to end, or write to another file with -o"}
	}
	return err
}
