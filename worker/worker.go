// Package worker takes chat tasks from the queue, asks Coze, and ends their results. Only this package knows all three of
// tasks, coze and results. A program of your own can run a [Worker] beside its other work.
//
// # One attempt
//
// asynq hands a task to Worker.process, which begins an attempt on its record and fences older attempts. The stages of an
// attempt are files in running order: see the type attempt. It asks Coze only if nothing else answers:
//
//	canceled                cancel its chat at Coze
//	not its turn            wait without a slot                            (takeup.go)
//	a chat is noted         look it up                                     (lookup.go)
//	a question was sent     find out whether Coze took it                  (find.go)
//	expired                 end without asking
//	otherwise               conversation, asked note and permit, ask, read (ask.go)
//
// One function decides what the answer or the error means for the task (judge), and one writes it (settlement.settle).
//
// # A process may die at any point
//
// Every step that costs money is noted in the record before it is taken: the conversation and the moment of asking before
// POST /v3/chat, the chat's id at its first event. From what a dead process leaves, the next attempt knows which question to
// put to Coze: "how did this chat end?" or "did you take this question?".
//
// Package coze asks Coze directly, package tasks enqueues.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/conversation"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/ratelimit"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/recovery"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/internal/telemetry"
	"github.com/cozeq/cozeq/results"
)

// Worker serves chat tasks. Make it with [New].
type Worker struct {
	cfg  Config
	name string // of this process, among those of one Redis
	log  *slog.Logger
	coze *coze.Client

	stores
	throttle

	identities map[string]bool    // of the credentials served, as noted last
	tracing    *telemetry.Tracing // nil: nothing is traced
	servers    []*asynq.Server

	publisher publisher
	spares    spares
	running   inFlight
	ended     endedTasks

	life   context.Context // ends when writes are given up
	giveUp context.CancelFunc

	mu      sync.Mutex
	hinted  map[string]bool // credentials whose plan's rate was asked for
	serving atomic.Bool
	wg      sync.WaitGroup // handlers, also those that asynq has given up
}

// stores are what the attempts of a process read and write in Redis.
type stores struct {
	results   *results.Store
	records   *record.Store
	lanes     *lane.Lanes
	tally     *tally.Tally
	names     *conversation.Names
	inspector *asynq.Inspector
}

// New returns a Worker that serves nothing yet.
func New(cfg Config) (*Worker, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	// Commands that handlers send at the same time go to Redis together, asynq's own included. A task takes seven, and a
	// round trip for each is most of the CPU that a short task costs (BenchmarkTask). go-redis sends a broken pipeline again
	// as a whole, as it does with single commands, so every script here must stand being run twice.
	rdb, err := cfg.Redis.AsyncAutoPipeline()
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	store := results.NewStore(rdb)
	store.Keep, store.Keys = cfg.Keep, cfg.Keys
	codes := cfg.Coze.Codes
	if codes == nil {
		codes = coze.DefaultCodes()
	}
	w := &Worker{
		cfg:     cfg,
		name:    uuid.NewString(),
		log:     cfg.Logger,
		coze:    cfg.Coze,
		hinted:  make(map[string]bool),
		tracing: telemetry.NewTracing(cfg.TracerProvider),
		stores: stores{
			results: store, records: record.New(store), lanes: lane.New(rdb), tally: tally.New(rdb), names: conversation.New(rdb),
			inspector: asynqx.NewInspector(cfg.Redis),
		},
	}
	cfg.Metrics.Concurrency(cfg.Concurrency)
	w.life, w.giveUp = context.WithCancel(context.Background())
	w.spares = spares{life: w.life, calls: &w.wg}
	w.publisher = publisher{ctx: w.life, records: w.records}
	w.throttle = throttle{
		cfg: &w.cfg, codes: codes, limit: &ratelimit.Limiter{Redis: rdb, Highest: cfg.Rate}, askPlanRate: w.askPlanRate,
		sweeper: &pause.Sweeper{
			Pauses: pause.Store{Redis: rdb}, Queues: asynqx.QueuePauses{Redis: rdb}, Inspector: w.inspector, Log: w.log,
		},
	}
	w.poller = asynqx.NewPoller(rdb, queueNames(cfg.Queues), w.streaks.CutOff)
	return w, nil
}

// Run serves until ctx ends. Then it takes no more tasks, gives those in flight Config.Drain to end, puts the rest back and
// returns. It returns an error only if it could not begin. A Worker runs once.
func (w *Worker) Run(ctx context.Context) error {
	if w.servers != nil {
		return errors.New("worker: a Worker runs once")
	}
	if err := w.cfg.Redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("worker: redis does not answer: %w", err)
	}
	if err := w.noteServed(ctx); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	shares := split(w.cfg.Concurrency)
	for i, share := range shares {
		w.servers = append(w.servers, w.newServer(i, share))
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var actors sync.WaitGroup
	actors.Go(func() { w.poller.Watch(background) })
	actors.Go(func() { w.hearCancellations(background) })
	actors.Go(func() { w.keepNotingServed(background) })
	actors.Go(func() { w.newSweeper().Run(background) })
	actors.Go(func() { w.beat(background) })
	actors.Go(func() { w.requeueForgotten(background) })
	defer actors.Wait()
	defer stop()

	for i, server := range w.servers {
		if err := server.Start(asynq.HandlerFunc(w.process)); err != nil {
			w.poller.Close()
			for _, started := range w.servers[:i] {
				started.Shutdown()
			}
			return fmt.Errorf("worker: start: %w", err)
		}
	}
	w.serving.Store(true)
	w.log.Info("serving", "queues", w.cfg.Queues, "concurrency", w.cfg.Concurrency)
	<-ctx.Done()
	w.serving.Store(false)
	w.log.Info("draining", "in_flight", len(w.running.all()), "drain", w.cfg.Drain)
	w.shutdown()
	w.log.Info("stopped")
	return nil
}

// newSweeper is this process's part in the sweep of all workers.
func (w *Worker) newSweeper() *recovery.Sweeper {
	return &recovery.Sweeper{
		Name: w.name, Queues: w.poller.Queues, Redis: w.cfg.Redis, Coze: w.coze, Results: w.results, Records: w.records,
		Lanes: w.lanes, Tally: w.tally, Pauses: w.sweeper, Log: w.log, Revived: w.cfg.Metrics.Revived,
	}
}

// shutdown stops all servers at the same time, then the handlers that are left.
//
// After the drain asynq puts each open task back at the head of its queue, and only then ends the handler's context. So
// another worker may begin a task while our handler still unwinds. Ours is fenced then and writes nothing, and the other one
// looks the chat up.
func (w *Worker) shutdown() {
	w.poller.Close()
	var servers sync.WaitGroup
	for _, server := range w.servers {
		servers.Go(server.Shutdown)
	}
	servers.Wait()
	for _, a := range w.running.all() {
		a.hold.stop(errShutdown)
	}
	late := time.AfterFunc(unwindWait, w.giveUp)
	w.wg.Wait()
	late.Stop()
	w.giveUp()
}

// unwindWait is how long handlers may try to store what they have, after the drain and with a Redis that is away.
const unwindWait = 10 * time.Second

// Ready returns nil if the worker takes tasks and its Redis answers.
func (w *Worker) Ready(ctx context.Context) error {
	if !w.serving.Load() {
		return errors.New("worker: takes no tasks: starting or draining")
	}
	if err := w.cfg.Redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("worker: redis does not answer: %w", err)
	}
	return nil
}
