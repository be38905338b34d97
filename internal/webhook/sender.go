package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Config says what a Sender sends, and to whom it may. Store is required.
type Config struct {
	Store   *results.Store
	Batches *batches.Client // nil: one is made on the store

	ClientConfig

	// API is the base URL of the API as receivers reach it, for the url in an event; "" makes that one relative.
	API string

	MaxConcurrent int                   // deliveries at a time; 0 = 32. A quarter of them may be for one receiver
	Timeout       time.Duration         // of a delivery; 0 = 20 s
	Drain         time.Duration         // what deliveries get to end when Run ends; 0 = 10 s
	Metrics       prometheus.Registerer // nil: none
	Logger        *slog.Logger          // nil: discarded
}

const (
	defaultConcurrent = 32
	defaultDrain      = 10 * time.Second
	defaultTimeout    = 20 * time.Second // the standard advises 15 to 30 s

	// retention is how long asynq shows what was delivered. Until then an event that is scheduled again is not sent again.
	retention = time.Hour

	// handleFor bounds the handling of one event, with all that Redis takes.
	handleFor = 5 * time.Minute
)

// Sender schedules webhooks and delivers them. It is safe for concurrent use.
type Sender struct {
	cfg       Config
	log       *slog.Logger
	store     *results.Store
	batches   *batches.Client
	client    *Client
	hosts     *hosts
	metrics   *metrics
	enqueue   *asynq.Client
	inspector *asynq.Inspector
	watch     *watch
}

// New returns a Sender. Each process that serves the API has one, and each of them runs.
func New(cfg Config) (*Sender, error) {
	if cfg.Store == nil {
		return nil, errors.New("webhook: no store")
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	cfg.Drain = cmp.Or(cfg.Drain, defaultDrain)
	cfg.MaxConcurrent = cmp.Or(cfg.MaxConcurrent, defaultConcurrent)
	if cfg.MaxConcurrent < 1 || cfg.Timeout > handleFor/2 {
		return nil, fmt.Errorf("webhook: %d deliveries at a time of %v each", cfg.MaxConcurrent, cfg.Timeout)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Batches == nil {
		cfg.Batches = batches.New(tasks.NewClient(cfg.Store))
	}
	rdb := cfg.Store.Redis()
	s := &Sender{
		cfg: cfg, log: cfg.Logger, store: cfg.Store, batches: cfg.Batches, client: NewClient(cfg.ClientConfig),
		hosts:     newHosts(max(1, cfg.MaxConcurrent/4)),
		metrics:   newMetrics(cfg.Metrics),
		enqueue:   asynq.NewClientFromRedisClient(rdb),
		inspector: asynq.NewInspectorFromRedisClient(rdb),
	}
	s.watch = newWatch(s)
	return s, nil
}

// Schedule has the end of a task or batch posted to a target. Call it before the task is enqueued or the batch created: see
// the package documentation. It may be repeated, and one of the same id that is scheduled already stays, except that
// another target takes its place while there is no such task or batch yet. An invalid target is a *tasks.InvalidError.
func (s *Sender) Schedule(ctx context.Context, kind Kind, id string, t Target) error {
	t, _, err := s.client.complete(t)
	if err != nil {
		return err
	}
	n := newNote(s.store.Keys, kind, id, t, time.Now())
	_, err = s.enqueue.EnqueueContext(ctx, asynq.NewTask(TypeName, n.encode()),
		asynq.TaskID(kind.taskID(id)), asynq.Queue(Queue), asynq.ProcessIn(firstLook),
		asynq.MaxRetry(Tries), // one more than there are: the handler ends them, see process
		asynq.Timeout(handleFor), asynq.Retention(retention))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		err = s.replace(ctx, &n, t)
	}
	if err != nil {
		return fmt.Errorf("schedule the webhook of %s %s: %w", kind, id, err)
	}
	s.watch.add(kind, id)
	return nil
}

// replace gives a webhook that is scheduled another target if what it waits for does not exist: a caller has died between
// the two, and comes back with a webhook that it has thought over.
func (s *Sender) replace(ctx context.Context, n *note, t Target) error {
	info, err := s.inspector.GetTaskInfo(Queue, n.Kind.taskID(n.ID))
	if errors.Is(err, asynq.ErrTaskNotFound) || err == nil && info.State != asynq.TaskStateScheduled {
		return nil // it is under way
	}
	if err != nil {
		return err
	}
	if old, err := decodeNote(info.Payload); err == nil && old.sameAs(s.store.Keys, t) {
		return nil
	}
	if _, err := s.read(ctx, n); !errors.Is(err, errUnknown) {
		return err
	}
	return s.inspector.UpdateTaskPayload(Queue, info.ID, n.encode())
}
