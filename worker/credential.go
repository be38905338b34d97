package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/tasks"
)

// Credential is an identity at Coze, beside the default one, that tasks name.
type Credential struct {
	Name string
	Coze *coze.Client
}

// client returns the client that asks for a task.
func (c *Config) client(name string) (*coze.Client, error) {
	if name == "" {
		return c.Coze, nil
	}
	for _, c := range c.Credentials {
		if c.Name == name {
			return c.Coze, nil
		}
	}
	return nil, &tasks.InvalidError{Field: "credential", Reason: fmt.Sprintf("the worker that took the task has none named %q", name)}
}

// noteServedEvery is how often a process notes which credentials it serves. The first time is before anything can pause.
const noteServedEvery = 5 * time.Second

func (w *Worker) keepNotingServed(ctx context.Context) {
	for backoff.Sleep(ctx, noteServedEvery) == nil {
		if err := w.noteServed(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("could not announce this worker", "err", err)
		}
	}
}

// noteServed notes which credentials this process serves, and ends the pauses of one
// that it has just replaced by another.
func (w *Worker) noteServed(ctx context.Context) error {
	now := make(map[string]bool)
	var served []pause.Served
	for _, c := range append([]Credential{{Coze: w.coze}}, w.cfg.Credentials...) {
		id, err := c.Coze.Identity(ctx)
		if err != nil {
			continue // no token yet: the next attempt that asks with it says so
		}
		now[id] = true
		served = append(served, pause.Served{Name: c.Name, ID: id})
	}
	if err := pause.NoteServed(ctx, w.cfg.Redis, w.poller.Queues, served); err != nil {
		return err
	}
	w.poller.Serves(slices.Sorted(maps.Keys(now)))
	for id := range w.identities {
		if !now[id] {
			w.log.Info("a credential was replaced", "was", id)
			if err := pause.Replaced(ctx, w.cfg.Redis, id); err != nil {
				return err
			}
		}
	}
	w.identities = now
	return nil
}
