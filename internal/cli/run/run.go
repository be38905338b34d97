package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/conversation"
	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/httpserver"
	"github.com/cozeq/cozeq/internal/mockserver"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/runbatch"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/sink"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

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

// asking is a run under way: the job, what watches it and what shows it.
type asking struct {
	options *options
	setup   setup
	session *session.Session
	job     *filerun.Job
	panel   *panel.Panel
	watch   *pausewatch.Watch
}

// run is what the command does, once its flags are parsed.
func (o *options) run(cmd *cobra.Command, args []string) error {
	panel := panel.New(o.streams)
	p, err := o.setup(cmd, args, panel)
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
	cache, err := o.bounds.openCache(p.cfg, o.demo)
	if err != nil {
		return err
	}
	if o.demo {
		m, err := mockserver.Start(cmd.Context(), "127.0.0.1:0", cozetest.Config{
			Latency: demoLatency, DeltaPace: demoPace, KeepLog: -1,
		})
		if err != nil {
			return err
		}
		defer m.Close()
		p.account.Base, p.account.Token = m.URL, coze.StaticToken(demoBot)
	}
	if p.own && !o.demo && o.asks() {
		if err := p.account.Preflight(cmd.Context(), panel, o.again()); err != nil {
			return o.explain(err)
		}
	}
	s, err := o.session(cmd.Context(), p)
	if err != nil {
		return err
	}
	defer s.Close()
	panel.Title = o.title(args, p.input)
	summary, err := o.ask(cmd.Context(), s, p, cache, panel)
	return o.conclude(cmd.Context(), s, p, cache, summary, err)
}

// asks is false where OUTPUT, which exists only when it is complete, will be left
// alone: that needs no token.
func (o *options) asks() bool {
	if o.output == "" || o.retryFailed || o.force {
		return true
	}
	_, err := os.Stat(o.output)
	return err != nil
}

func (o *options) session(ctx context.Context, p setup) (*session.Session, error) {
	if o.alone(p.cfg) {
		return session.OpenEmbedded(p.cfg, p.worker.Concurrency, p.logger)
	}
	s, err := session.OpenShared(ctx, p.cfg, p.worker.Concurrency, p.logger)
	if err != nil {
		return nil, err
	}
	if err := o.rules.Check(ctx, s.Redis, p.logger); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// ask does the work. It ends early on a signal, or when Coze refuses everything for longer than --patience.
func (o *options) ask(signals context.Context, s *session.Session, p setup, cache *answercache.Cache, panel *panel.Panel) (progress.Summary, error) {
	ctx, cancel := context.WithCancelCause(signals)
	defer cancel(nil)
	job := &filerun.Job{
		Input:         p.input,
		Output:        o.output,
		Tasks:         s.Tasks,
		Results:       s.Results,
		Conversations: conversation.New(s.Redis),
		Options:       tasks.Options{Queue: o.questions.Queue, Attempts: o.questions.Attempts, Timeout: o.questions.Timeout, Keep: o.keep},
		Window:        o.window,
		RetryFailed:   o.retryFailed,
		Force:         o.force,
		Cache:         cache,
		Forget:        s.Embedded != nil,
		MaxTokens:     o.bounds.maxTokens,
		MaxQuestions:  o.bounds.maxQuestions,
	}
	if o.bounds.estimate {
		job.Sample = sampleSize
	}
	if s.Embedded != nil && o.window == 0 {
		job.SmallWindow = max(smallWindow, 2*p.worker.Concurrency)
	}
	if p.account.Token != nil {
		job.Uploader = s.Uploader(p.account)
	}
	if o.command.Set() {
		job.OnResult = &sink.Config{Command: o.command, Stderr: panel}
	}
	if s.Embedded == nil && !p.input.Live() { // the number of rows of a live input is not known
		job.Batches = runbatch.New(s.Tasks)
	}
	switch {
	case o.output != "":
	case o.streams.OutTTY:
		job.OnRecord = panel.Record
	default:
		job.Stdout = o.streams.Out
	}
	watch := pausewatch.New(s, o.questions.Queue, p.patience, cancel)
	watch.OpenRows, watch.Settle, watch.Say = job.OpenRows, pausewatch.FeedTime, panel
	watch.Done = func() int { return job.Snapshot().Done }
	watch.Again = o.again()
	panel.Note, panel.Limits, panel.JSON = watch.Note, watch.Limits, o.json
	a := &asking{options: o, setup: p, session: s, job: job, panel: panel, watch: watch}
	said := "interrupted: the workers still answer the questions in the queue"
	if p.own {
		stop, err := a.startWorker(ctx, cancel)
		if err != nil {
			return progress.Summary{}, err
		}
		defer stop()
		said = a.draining()
	} else {
		stop, err := a.awaitWorkers(ctx)
		if err != nil {
			return progress.Summary{}, err
		}
		defer stop()
	}
	defer a.sayAtSignal(signals, said)()
	defer watch.Start(ctx)()
	defer panel.Follow(job.Snapshot)()
	return job.Run(ctx)
}

// awaitWorkers waits for a worker of the shared Redis, and then says when none is left, until stop.
func (a *asking) awaitWorkers(ctx context.Context) (stop func(), err error) {
	queue := a.options.questions.Queue
	if err := a.session.AwaitServed(ctx, queue, a.options.workerWait, a.panel); err != nil {
		return nil, err
	}
	return session.WatchServed(ctx, func() error { return a.session.Served(queue) }, func(err error) {
		fmt.Fprintf(a.panel, "cozeq: %v any more: waiting for one to come back\n", err)
	}), nil
}

// startWorker starts a worker in this process, which notes each step in the journal. cancel ends the run. stop closes the
// worker's site; the session ends the worker.
func (a *asking) startWorker(ctx context.Context, cancel context.CancelCauseFunc) (stop func(), err error) {
	s, config, job, stop := a.session, a.setup.worker, a.job, func() {}
	if a.setup.http != "" {
		metrics, handler := httpserver.NewMetrics(s, a.setup.account, slices.Sorted(maps.Keys(config.Queues)))
		served := httpserver.Config{Ready: s.Ready.Check, Metrics: handler, Chats: config.Concurrency}
		server, err := httpserver.Start(ctx, a.setup.http, served, a.setup.logger)
		if err != nil {
			return nil, err
		}
		stop = server.Close
		config.Metrics = metrics
	}
	config.OnProgress = func(ctx context.Context, at worker.Progress) error {
		return job.Progress(ctx, filerun.Progress(at))
	}
	config.OnVerdict = func(id string, v worker.Verdict) {
		job.Stepped(id, waitOf(v))
		a.watch.Verdict(id, v)
	}
	config.Answered = func() bool { // --retry-failed: these questions are known to fail
		at := job.Snapshot()
		return a.options.retryFailed || at.Done > at.Failed
	}
	if s.Embedded != nil {
		a.keepLimits(ctx)
	}
	if err := s.StartWorker(ctx, a.setup.account, config, cancel); err != nil {
		stop()
		return nil, err
	}
	job.Drain = s.Worker.Drain
	return stop, nil
}

// keepLimits notes the learnt rates in the journal, and beside the cache for other runs. The embedded store ends with the
// process; without a note the next run would learn them again, from 20 calls a second.
func (a *asking) keepLimits(ctx context.Context) {
	logger, cache := a.setup.logger, a.job.Cache
	take := func(learnt map[string]float64) {
		if len(learnt) == 0 {
			return
		}
		if err := worker.KnowLimits(ctx, a.session.Redis, learnt); err != nil {
			logger.Debug("could not take up the rates of the last run, they will be learnt", "err", err)
			return
		}
		logger.Debug("starting at the rates of the last run", "calls_per_second", learnt)
	}
	if cache != nil {
		take(cache.Limits())
	}
	a.job.OnLimits = take // the journal's, for what the cache does not know
	a.watch.OnLimits = func(all []worker.Limit) {
		learnt := make(map[string]float64)
		for _, l := range all {
			if l.Learnt {
				learnt[l.Credential] = l.Rate
			}
		}
		if len(learnt) == 0 {
			return
		}
		err := a.job.NoteLimits(ctx, learnt)
		if cache != nil {
			err = errors.Join(err, cache.NoteLimits(learnt))
		}
		if err != nil {
			logger.Debug("could not note the rates, the next run will learn them", "err", err)
		}
	}
}

// sayAtSignal says at the first signal what happens now, until stop.
func (a *asking) sayAtSignal(signals context.Context, text string) (stop func()) {
	said := make(chan struct{})
	cancel := context.AfterFunc(signals, func() {
		defer close(said)
		fmt.Fprintln(a.panel, "cozeq: "+text)
	})
	return func() {
		if !cancel() {
			<-said
		}
	}
}

// draining is said at the first signal: after a second one there is no time to say it.
func (a *asking) draining() string {
	text := fmt.Sprintf("interrupted: chats in flight may finish, for up to %s; interrupt again to stop at once", flags.Format(a.options.drain))
	if a.options.output != "" {
		text += "; run the same command again to resume"
	}
	return text
}
