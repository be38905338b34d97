// Package gateway serves the queue over HTTP: an API of its own for every language under /api/v1. A chat asked through it is
// a task like any other. It is paid once, limited together with all others, found again after a crash, and seen in the
// dashboard.
//
// A Gateway keeps nothing but caches, so any number of processes may serve one Redis behind a load balancer. It asks nothing
// itself: workers do.
//
// docs/http.md is the guide for callers; /openapi.json and /docs are served.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/openaibatch"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/internal/watch"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Config is what a Gateway serves. Tasks alone is required.
type Config struct {
	// Tasks is the queue; its store's Redis and keys are used.
	Tasks *tasks.Client

	// KeysFile has the API keys: see docs/api-keys.md. It is read again when it changes. Without it everybody who reaches the
	// gateway may do everything.
	KeysFile string

	// WebhookSecretsFile has the secrets that sign webhooks: see docs/webhooks.md. Without it there are no webhooks.
	WebhookSecretsFile string

	// WebhookAllow are networks that webhooks may go to although they are not public.
	WebhookAllow []netip.Prefix

	// BotID is asked where a request names no bot. It is a model of OpenAI's API under its id.
	BotID string

	// Models are names for bots, beside their ids, for OpenAI's clients.
	Models map[string]string

	// Upload uploads content that an OpenAI client sends as data to Coze, with the credential of this name, "" for the default
	// one, and returns its id. nil: such content is refused.
	Upload func(ctx context.Context, credential, name string, content []byte) (id string, err error)

	// System says what happens to system messages of OpenAI's clients, which Coze does not have: prepend puts them before the
	// question, drop leaves them out, refuse refuses them. Empty: prepend.
	System string

	// JoinFor is how old a task may be that a retry of a client of OpenAI's joins; 0: 15 min, negative: none.
	JoinFor time.Duration

	// MaxBody bounds a request in bytes, after unpacking, but for files of questions; 0: DefaultMaxBody. All of it is in memory.
	MaxBody int64

	// MaxUpload bounds an uploaded file in bytes; 0: 200 MB, as OpenAI has it.
	MaxUpload int64

	// MaxFiles bounds the files that are kept for one API key, in bytes; 0: 2 GB.
	MaxFiles int64

	// Origins are the web origins whose pages may call, such as https://example.com; "*": all. None: no page of another
	// origin.
	Origins []string

	// Local refuses requests whose Host is no name of this machine. Where there are no keys it keeps out web pages of sites
	// that point their own name here.
	Local bool

	Version        string                // of the program, for the OpenAPI document
	Logger         *slog.Logger          // of requests and faults; nil: none
	Metrics        prometheus.Registerer // nil: none
	MetricsHandler http.Handler          // /metrics; nil: there is no such page
	TracerProvider trace.TracerProvider  // nil: spans are not made, but a traceparent is passed on
}

// Gateway is the http.Handler. Make it with New. To stop: Drain, shut the server down, Close.
type Gateway struct {
	Config
	submit  *submit.Client
	watch   *watch.Hub
	batches *batches.Client
	webhook *webhook.Sender
	openai  *openai.Handler
	files   *openaibatch.Handler // OpenAI's Files and Batches
	keys    *apikey.File         // nil: none are configured
	api     huma.API
	handler http.Handler
	metrics *metrics

	draining context.Context // ends with Drain
	drain    context.CancelFunc
}

// DefaultMaxBody holds the 15 MiB of messages that Coze takes.
const DefaultMaxBody = 20 << 20

// New checks the configuration. It does not call Redis.
func New(c Config) (*Gateway, error) {
	if c.Tasks == nil {
		return nil, errors.New("gateway: Config.Tasks is not set")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.MaxBody = cmp.Or(c.MaxBody, DefaultMaxBody)
	c.Models = maps.Clone(c.Models)
	if c.Models == nil {
		c.Models = make(map[string]string)
	}
	if c.BotID != "" {
		c.Models[c.BotID] = c.BotID // also where it is no number, as that of a mock
	}
	c.MaxUpload = cmp.Or(c.MaxUpload, openaibatch.DefaultMaxFile)
	if !slices.Contains([]string{"", messages.Prepend, messages.Drop, messages.Refuse}, c.System) {
		return nil, fmt.Errorf("gateway: Config.System is %q, want %s, %s or %s", c.System, messages.Refuse, messages.Prepend, messages.Drop)
	}
	g := &Gateway{Config: c, watch: watch.New(c.Tasks.Results())}
	g.draining, g.drain = context.WithCancel(context.Background())
	if c.KeysFile != "" {
		keys, err := apikey.Load(c.KeysFile, c.Logger)
		if err != nil {
			return nil, err
		}
		g.keys = keys
	}
	g.metrics = newMetrics(c.Metrics, g.watch, g.keys)
	g.submit = submit.New(submit.Config{Tasks: c.Tasks, Limits: apikey.NewLimits(c.Tasks.Results()), JoinFor: c.JoinFor})
	if err := g.newWebhook(); err != nil {
		return nil, err
	}
	g.batches = batches.New(c.Tasks)
	decoder := openai.Decoder{Models: openai.Models{Aliases: c.Models}, System: c.System}
	g.files = openaibatch.New(openaibatch.Config{ // data in a line is refused: a file is decoded several times
		Decoder: decoder, Submit: g.submit, Tasks: c.Tasks, MaxFile: c.MaxUpload, MaxFiles: c.MaxFiles, Log: c.Logger,
	})
	decoder.Upload = c.Upload
	g.openai = openai.New(openai.Config{
		Decoder: decoder, Submit: g.submit, Tasks: c.Tasks, Hub: g.watch, Log: c.Logger, FirstDelta: g.metrics.firstDelta,
	})
	mux := http.NewServeMux()
	g.api = humago.New(mux, document(c.Version, g.keys != nil))
	g.routes(mux)
	inner, err := g.cors(g.authenticate(g.bound(mux)))
	if err != nil {
		return nil, err
	}
	g.handler = g.observe(inner)
	return g, nil
}

func (g *Gateway) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", g.ready)
	if g.MetricsHandler != nil {
		mux.Handle("GET /metrics", g.MetricsHandler)
	}
	mux.HandleFunc("GET /docs", g.reference)
	mux.Handle("GET /{$}", http.RedirectHandler("/docs", http.StatusFound)) // who opens the URL that serve prints
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		g.refuse(w, r, fault(http.StatusNotFound, "there is no %s %s: see /docs", r.Method, r.URL.Path))
	})
	g.openai.Register(mux)
	g.files.Register(mux)
	g.taskRoutes()
	g.eventRoutes(mux)
	g.batchRoutes(mux)
	g.queueRoutes()
	g.failedRoutes()
}

func (g *Gateway) newWebhook() (err error) {
	c := webhook.Config{
		ClientConfig: webhook.ClientConfig{Allow: g.WebhookAllow, Agent: "cozeq/" + g.Version},
		Store:        g.Tasks.Results(), Metrics: g.Metrics, Logger: g.Logger,
	}
	if g.WebhookSecretsFile != "" {
		if c.Secrets, err = webhook.LoadSecrets(g.WebhookSecretsFile, g.Logger); err != nil {
			return err
		}
	}
	g.webhook, err = webhook.New(c)
	return err
}

// Run delivers webhooks until ctx ends. Where several processes serve one Redis each of them should run, and one must.
func (g *Gateway) Run(ctx context.Context) error { return g.webhook.Run(ctx) }

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// Drain is the first step of a stop. Ready fails from then on, so load balancers send no more; streams of events end, and long
// polls get the current record: their callers continue at another process and miss nothing. Requests of OpenAI's API go on
// until Close.
func (g *Gateway) Drain() { g.drain() }

// Close ends what watches Redis. Requests of OpenAI's API that still wait end with an error that tells their clients to come
// again, so close the server after it. A second Close does nothing.
func (g *Gateway) Close() error {
	g.drain()
	g.openai.Close()
	return g.watch.Close()
}

// readyTime is below the second that Kubernetes gives a probe.
const readyTime = 900 * time.Millisecond

var errDraining = errors.New("this process stops")

// Ready says why the gateway should get no requests now: it is draining, or Redis does not answer.
func (g *Gateway) Ready(ctx context.Context) error {
	if g.draining.Err() != nil {
		return errDraining
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if err := g.Tasks.Results().Redis().Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis does not answer: %w", err)
	}
	return nil
}

func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	switch err := g.Ready(r.Context()); {
	case errors.Is(err, errDraining):
		write(w, fault(http.StatusServiceUnavailable, "%s", err))
		return
	case err != nil:
		write(w, problemOf(err))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
