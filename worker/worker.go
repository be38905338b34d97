// Package worker is how it is done: it takes chat tasks from the queue, asks
// Coze, and ends their results. It is the one place where tasks, coze and results
// meet, and only commands import it.
//
// # One attempt
//
// asynq hands a task to [Worker.process], which begins an attempt on its record:
// from here on older handlers of the same task may write no more. The attempt
// ([attempt.answer]) goes through a chain that ends at the first link that can
// tell what follows:
//
//	requested to end?       cancel the chat at Coze
//	a chat is noted         look it up, never ask first          (poll.go)
//	a question was sent     find out whether Coze took it        (recover.go)
//	not its turn            wait without a slot                  (turn.go)
//	expired                 end without asking
//	otherwise               conversation, note, ask, note, read  (ask.go)
//
// Whatever comes of it, an answer or an error, is judged in one place
// ([judge]) and settled in one place ([attempt.settle]).
//
// # What dies when
//
// Every step that costs money is noted in the record before it is taken: the
// conversation and the moment of asking before POST /v3/chat, the chat's id at
// its first event. A process that dies between two notes leaves a record from
// which the next attempt knows which of the two questions to put to Coze: "how
// did this chat end?" or "did you take this question?".
//
// The package is not for asking Coze directly (package coze) nor for enqueueing
// (package tasks).
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/conversation"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/internal/telemetry"
	"github.com/cozeq/cozeq/results"
)

// Worker serves chat tasks. Make it with [New].
type Worker struct {
	cfg           Config
	name          string // of this process, among those of one Redis
	log           *slog.Logger
	coze          *coze.Client
	codes         *coze.CodeTable
	results       *results.Store
	lanes         *lane.Lanes
	tally         *tally.Tally
	conversations *conversation.Names

	limit       *limiter
	pauses      pauses
	queuePauses asynqx.QueuePauses
	unknown     unknownCodes
	streaks     streaks
	missingKeys missingKeys
	inspector   *asynq.Inspector
	identities  map[string]bool    // of the credentials served, as announced last
	tracing     *telemetry.Tracing // nil: nothing is traced

	gate    *asynqx.Gate
	servers []*asynq.Server

	running  inFlight
	answered endedChats

	life   context.Context // ends when even answers are no longer waited to be stored
	giveUp context.CancelFunc

	mu      sync.Mutex
	hinted  map[string]bool // credentials whose plan's rate was asked for
	serving bool
	wg      sync.WaitGroup // handlers, also those that asynq has given up
}

// New returns a Worker that serves nothing yet.
func New(cfg Config) (*Worker, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	// What handlers send to Redis at the same time goes there together, asynq's own
	// commands included: a task takes seven, and a round trip of its own for each is
	// most of the CPU that a short task costs (BenchmarkTask). go-redis sends a
	// pipeline that broke once more as a whole, as it does with single commands, and
	// every script here stands being run twice.
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
		cfg:           cfg,
		name:          uuid.NewString(),
		log:           cfg.Logger,
		coze:          cfg.Coze,
		codes:         codes,
		results:       store,
		lanes:         lane.New(rdb),
		tally:         tally.New(rdb),
		conversations: conversation.New(rdb),
		limit:         &limiter{rdb: rdb, highest: cfg.Rate},
		pauses:        pauses{rdb},
		queuePauses:   asynqx.QueuePauses{Redis: rdb},
		inspector:     asynq.NewInspectorFromRedisClient(cfg.Redis),
		hinted:        make(map[string]bool),
		tracing:       telemetry.NewTracing(cfg.TracerProvider),
	}
	cfg.Metrics.Concurrency(cfg.Concurrency)
	w.life, w.giveUp = context.WithCancel(context.Background())
	w.gate = asynqx.NewGate(rdb, queueNames(cfg.Queues), w.streaks.away)
	return w, nil
}

// Run serves until ctx ends, then takes no more tasks, lets those in flight go on
// for Config.Drain, puts the rest back and returns. It returns an error only if it
// could not begin. A Worker runs once.
func (w *Worker) Run(ctx context.Context) error {
	if w.servers != nil {
		return errors.New("worker: a Worker runs once")
	}
	if err := w.cfg.Redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("worker: redis does not answer: %w", err)
	}
	if err := w.announce(ctx); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	shares := split(w.cfg.Concurrency)
	for i, share := range shares {
		w.servers = append(w.servers, w.newServer(i, share))
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var actors sync.WaitGroup
	actors.Go(func() { w.gate.Watch(background) })
	actors.Go(func() { w.hearCancellations(background) })
	actors.Go(func() { w.sweep(background) })
	actors.Go(func() { w.beat(background) })
	defer actors.Wait()
	defer stop()

	for i, server := range w.servers {
		if err := server.Start(asynq.HandlerFunc(w.process)); err != nil {
			w.gate.Close()
			for _, started := range w.servers[:i] {
				started.Shutdown()
			}
			return fmt.Errorf("worker: start: %w", err)
		}
	}
	w.setServing(true)
	w.log.Info("serving", "queues", w.cfg.Queues, "concurrency", w.cfg.Concurrency)
	<-ctx.Done()
	w.setServing(false)
	w.log.Info("draining", "in_flight", len(w.running.all()), "drain", w.cfg.Drain)
	w.shutdown()
	w.log.Info("stopped")
	return nil
}

// shutdown stops all servers at the same time and then the handlers that are
// left.
//
// When the drain is over asynq puts each open task back at the head of its queue
// and only then ends the handler's context. So another worker may have begun a
// task while our handler still unwinds: it then finds itself fenced and writes
// nothing, and the other one looks the chat up.
func (w *Worker) shutdown() {
	w.gate.Close()
	var servers sync.WaitGroup
	for _, server := range w.servers {
		servers.Go(server.Shutdown)
	}
	servers.Wait()
	for _, a := range w.running.all() {
		a.hold.stop(errShutdown)
	}
	unwound := make(chan struct{})
	go func() {
		w.wg.Wait()
		close(unwound)
	}()
	select {
	case <-unwound:
	case <-time.After(unwindWait):
	}
	w.giveUp()
	<-unwound
}

// unwindWait is how long handlers may take to store what they have once the drain
// is over, with a Redis that is away.
const unwindWait = 10 * time.Second

// Ready returns nil if the worker takes tasks and its Redis answers.
func (w *Worker) Ready(ctx context.Context) error {
	w.mu.Lock()
	serving := w.serving
	w.mu.Unlock()
	if !serving {
		return errors.New("worker: takes no tasks: starting or draining")
	}
	if err := w.cfg.Redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("worker: redis does not answer: %w", err)
	}
	return nil
}

func (w *Worker) setServing(serving bool) {
	w.mu.Lock()
	w.serving = serving
	w.mu.Unlock()
}
