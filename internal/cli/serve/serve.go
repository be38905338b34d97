// Package serve is the command serve: it serves the queue over HTTP, for programs in every language.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/httpserver"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/mockserver"
	"github.com/cozeq/cozeq/internal/openaibatch"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

const (
	// The demo's mock answers in about a second, piece by piece.
	demoBot     = "demo"
	demoLatency = 300 * time.Millisecond
	demoPace    = 40 * time.Millisecond

	// visible is within what a worker that starts can be seen in Redis.
	visible = 2 * time.Second

	// callersRedis is how many connections to Redis callers may use at a time, beside those of a worker.
	callersRedis = 64

	megabyte   = 1_000_000
	mostBody   = 700   // MiB: a file of 512 MB, the most that Coze takes, in base64
	mostUpload = 5_000 // MB: the temporary directory has a copy while a file is checked
)

type options struct {
	streams    *terminal.Streams
	demo       bool
	withWorker bool
	origins    []string
	system     string
	joinFor    time.Duration
	maxBody    int64 // MiB
	maxUpload  int64 // MB
	maxFiles   int64 // MB
	drain      time.Duration
	rules      session.RedisRules
	tools      session.Tools
}

func New(s *terminal.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the queue over HTTP, for every language",
		Long: `Serves an HTTP API over the queue. A question asked through it is as safe as one
from a file: it is paid once, limited together with all others, and found again
after a crash.

Without --redis this process asks Coze itself and keeps the questions in its
memory: nothing outlives it. With --redis the workers there ask, and any number
of 'cozeq serve' may stand behind a load balancer.

Prints its base URL. Other machines are let in only with API keys, from
$COZEQ_API_KEYS_FILE. /docs is a reference of the API, /openapi.json the same for
programs.`,
		Example: `  cozeq serve --demo
  cozeq serve --model support=7342866812345
  cozeq serve --redis redis://redis:6379/0 --http 0.0.0.0:8787
  curl -d '{"question": "What is a goroutine?"}' \
    -H 'Prefer: wait=60' http://127.0.0.1:8787/api/v1/tasks`,
		Args: misuse.CheckArgs(0, 0, ""),
		RunE: o.run,
	}
	f := cmd.Flags()
	f.BoolVar(&o.demo, "demo", false, "ask the built-in mock of Coze: no token, no costs")
	f.BoolVar(&o.withWorker, "with-worker", false, "with --redis: run a worker in this process too")
	f.StringSliceVar(&o.origins, "cors", nil, "let web pages of this `ORIGIN` call, such as https://example.com; may be repeated")
	f.StringVar(&o.system, "system", "prepend", "what to do with system messages of OpenAI's clients: prepend them to the question, drop them, or refuse the request")
	flags.OneOf(f, "system", "prepend", "drop", "refuse")
	flags.Duration(f, &o.joinFor, "join-for", tasks.DefaultTimeout, "let a retry of OpenAI's SDKs find the task of its first try for this long; 0 for never")
	f.Int64Var(&o.maxBody, "max-body", gateway.DefaultMaxBody>>20, "take requests of up to `N` MiB, but for files of questions; each is in memory")
	f.Int64Var(&o.maxUpload, "max-upload", openaibatch.DefaultMaxFile/megabyte, "take files of up to `N` MB")
	f.Int64Var(&o.maxFiles, "max-files", openaibatch.DefaultMaxFiles/megabyte, "keep uploaded files of up to `N` MB together for each API key")
	settings.AddDrain(cmd, &o.drain)
	f.Lookup("drain").Usage = "let requests and chats in flight finish for this long after the first signal"
	o.rules.AddFlag(f)
	o.tools.AddFlags(cmd)
	settings.AddFlags(cmd, settings.Redis, settings.Base, settings.Bot, settings.Models, settings.Concurrency, settings.Queues, settings.Rate, settings.HTTP, settings.Metrics, settings.Log, settings.Codes, settings.MaxAnswer)
	return cmd
}

// setup is a command whose settings were read.
type setup struct {
	cfg     settings.Config
	serve   settings.Serve
	gateway gateway.Config
	worker  *worker.Config // of this process; nil: others ask
	account settings.Account
}

func (o *options) run(cmd *cobra.Command, _ []string) error {
	p, err := o.read(cmd)
	if err != nil {
		return err
	}
	if o.demo {
		m, err := mockserver.Start(cmd.Context(), "127.0.0.1:0", cozetest.Config{Latency: demoLatency, DeltaPace: demoPace, KeepLog: -1})
		if err != nil {
			return err
		}
		defer m.Close()
		p.account.Base, p.account.Token = m.URL, coze.StaticToken(demoBot)
	} else if !p.cfg.Shared() {
		if err := p.account.Preflight(cmd.Context(), o.streams.Err, "run the same command again"); err != nil {
			return err
		}
	}
	return o.serve(cmd.Context(), p)
}

func (o *options) read(cmd *cobra.Command) (p setup, err error) {
	p.cfg = settings.Of(cmd, o.streams)
	alone := o.demo || !p.cfg.Shared()
	if o.demo && cmd.Flags().Changed(settings.Redis) {
		return p, misuse.Errorf(cmd, "--demo works alone: leave --redis out")
	}
	for _, origin := range o.origins {
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil && origin != "*" {
			return p, misuse.Errorf(cmd, "--cors: %q, want an origin as https://example.com, or *", origin)
		}
	}
	switch {
	case o.maxBody < 1 || o.maxBody > mostBody:
		return p, misuse.Errorf(cmd, "--max-body: %d, want 1 to %d (MiB)", o.maxBody, mostBody)
	case o.maxUpload < 1 || o.maxUpload > mostUpload:
		return p, misuse.Errorf(cmd, "--max-upload: %d, want 1 to %d (MB)", o.maxUpload, mostUpload)
	case o.maxFiles < o.maxUpload:
		return p, misuse.Errorf(cmd, "--max-files: %d, want at least one file's %d (MB, --max-upload)", o.maxFiles, o.maxUpload)
	}
	if err := session.CheckOwnWorker(cmd, o.withWorker, !alone); err != nil {
		return p, err
	}
	logger, err := p.cfg.Logger(o.streams.Err, o.streams.ErrTTY, slog.LevelWarn)
	if err != nil {
		return p, err
	}
	if p.serve, err = p.cfg.Serve(); err != nil {
		return p, err
	}
	p.gateway = gateway.Config{
		KeysFile: p.serve.KeysFile, WebhookSecretsFile: p.serve.WebhookSecrets, BotID: p.cfg.Text(settings.Bot, ""),
		Local: p.serve.KeysFile == "", System: o.system, JoinFor: cmp.Or(o.joinFor, -1), Origins: o.origins, Version: p.cfg.Version, Logger: logger,
		MaxBody: o.maxBody << 20, MaxUpload: o.maxUpload * megabyte, MaxFiles: o.maxFiles * megabyte,
	}
	if p.gateway.WebhookAllow, err = p.cfg.WebhookAllow(); err != nil {
		return p, err
	}
	if p.gateway.Models, err = p.cfg.Models(); err != nil {
		return p, err
	}
	if o.demo {
		p.gateway.BotID = cmp.Or(p.gateway.BotID, demoBot)
	}
	if !alone && !o.withWorker {
		if err := o.tools.Apply(p.cfg, nil); err != nil {
			return p, err
		}
		// The workers have the token; with one here, too, content that comes as data can be uploaded.
		p.account, err = p.cfg.Account(cmd.Context(), "")
		if _, missing := errors.AsType[*exitcode.MissingError](err); missing {
			err = nil
		}
		return p, err
	}
	p.worker = &worker.Config{BotID: p.gateway.BotID, Drain: session.DrainOf(o.drain), Logger: logger}
	if p.worker.Concurrency, err = p.cfg.Concurrency(); err != nil {
		return p, err
	}
	if p.worker.Queues, err = p.cfg.Queues(); err != nil {
		return p, err
	}
	if p.worker.Rate, err = p.cfg.Rate(); err != nil {
		return p, err
	}
	if err := o.tools.Apply(p.cfg, p.worker); err != nil {
		return p, err
	}
	if o.demo {
		p.account.Codes, err = p.cfg.Codes()
	} else {
		p.account, err = p.cfg.Account(cmd.Context(), "")
	}
	return p, err
}

// serve opens the store, starts what this process needs, and serves until a signal.
func (o *options) serve(signals context.Context, p setup) error {
	ctx, cancel := context.WithCancelCause(signals)
	defer cancel(nil)
	s, err := o.open(p)
	if err != nil {
		return err
	}
	defer s.Close()
	registry := prometheus.NewRegistry()
	chats := 0
	if p.worker != nil {
		chats, p.worker.Metrics = p.worker.Concurrency, httpserver.RegisterMetrics(registry, s, p.account, nil)
	} else {
		httpserver.Observe(registry, s)
	}
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	p.gateway.Tasks, p.gateway.Metrics, p.gateway.MetricsHandler = s.Tasks, registry, metrics
	p.gateway.Upload = (&uploads{session: s, account: p.account}).upload
	p.gateway.TracerProvider = s.Traces(ctx, p.gateway.Logger)
	g, err := gateway.New(p.gateway)
	if err != nil {
		return err
	}
	defer g.Close()
	if p.serve.Metrics != "" {
		side, err := httpserver.Start(ctx, p.serve.Metrics, httpserver.Config{
			Ready: g.Ready, Metrics: metrics, Hint: "choose another address with --metrics or COZEQ_METRICS, or off",
		}, p.gateway.Logger)
		if err != nil {
			return err
		}
		defer side.Close()
	}
	web, err := httpserver.Start(ctx, p.serve.Addr, httpserver.Config{API: g, Chats: chats, Hint: "choose another address with --http or COZEQ_SERVE"}, p.gateway.Logger)
	if err != nil {
		return err
	}
	defer web.Close()
	if s.Remote != nil {
		if err := s.Remote.Await(ctx, p.gateway.Logger); err != nil {
			return httpserver.WhileServing(signals, err)
		}
		if err := o.rules.Check(ctx, s.Redis, p.gateway.Logger); err != nil {
			return err
		}
	}
	if p.worker != nil {
		if err := s.StartWorker(ctx, p.account, *p.worker, cancel); err != nil {
			return err
		}
	}
	var delivering sync.WaitGroup
	defer delivering.Wait()
	delivering.Go(func() {
		if err := g.Run(ctx); err != nil {
			cancel(err)
		}
	})
	if p.worker == nil {
		s.NoteUnserved(o.streams.Err, tasks.QueueDefault, "questions are refused until one does")
	} else { // who reads the greeting may ask at once
		_ = s.AwaitServed(ctx, slices.Min(slices.Collect(maps.Keys(p.worker.Queues))), visible, io.Discard)
	}
	o.greet(web.URL, p)
	<-ctx.Done()
	g.Drain()
	if s.Worker != nil {
		go s.Worker.Drain() // Close waits for it
	}
	web.Drain(o.drain)
	_ = g.Close() // who still waits is told to come again, before the connections are cut
	return httpserver.WhileServing(signals, context.Cause(ctx))
}

// open opens the shared Redis, or a store in this process.
func (o *options) open(p setup) (*session.Session, error) {
	connections := callersRedis
	if p.worker != nil {
		connections += p.worker.Concurrency
	}
	if o.demo || !p.cfg.Shared() {
		return session.OpenEmbedded(p.cfg, connections, p.gateway.Logger)
	}
	return session.NewShared(p.cfg, connections, p.gateway.Logger)
}

func (o *options) greet(url string, p setup) {
	key, header := "any", ""
	if p.serve.KeysFile != "" {
		key, header = "YOUR_KEY", ` -H "Authorization: Bearer YOUR_KEY"`
	}
	bot, model, question := p.gateway.BotID, "BOT_ID", `{"question": "What is a goroutine?"}`
	if aliases := slices.Sorted(maps.Keys(p.gateway.Models)); len(aliases) > 0 {
		model = aliases[0]
	} else if bot != "" {
		model = bot
	}
	if bot == "" { // then each question names its bot
		question = fmt.Sprintf(`{"bot_id": %q, "question": "What is a goroutine?"}`, cmp.Or(p.gateway.Models[model], model))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "cozeq: serving %s, reference at %s/docs\n", url, url)
	if o.demo || !p.cfg.Shared() {
		b.WriteString("cozeq: questions are kept in this process and do not outlive it; --redis keeps them\n")
	}
	fmt.Fprintf(&b, "\n  curl %s/api/v1/tasks%s -H 'Prefer: wait=60' -d '%s'\n", url, header, question)
	fmt.Fprintf(&b, "\n  client = openai.OpenAI(base_url=\"%s/v1\", api_key=\"%s\")\n", url, key)
	fmt.Fprintf(&b, "  client.chat.completions.create(model=\"%s\", messages=[{\"role\": \"user\", \"content\": \"Hi\"}])\n\n", model)
	fmt.Fprint(o.streams.Err, b.String())
	fmt.Fprintln(o.streams.Out, url)
}
