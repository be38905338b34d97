package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
)

// sweepPauses looks at all pauses: it lets probes go that are due, ends the pauses
// of credentials that nobody serves any more, and where a pause has ended brings
// everybody back and undoes our pauses of queues.
func (w *Worker) sweepPauses(ctx context.Context) error {
	keys, err := w.pauses.keys(ctx)
	if err != nil {
		return err
	}
	queues, err := w.queuePauses.Queues(ctx) // also those that this process does not serve
	if err != nil {
		return err
	}
	for _, key := range keys {
		p, ok, err := w.pauses.get(ctx, key)
		if err != nil {
			return err
		}
		if ok {
			served, err := w.served(ctx, p.Credential)
			if err != nil {
				return err
			}
			if !served {
				w.log.Info("a pause ends: nobody serves its credential any more", "credential", p.Credential, "bot", p.BotID)
				if err := w.pauses.end(ctx, p.Credential, p.BotID); err != nil {
					return err
				}
				ok = false
			}
		}
		if !ok {
			if err := w.bringBack(ctx, key); err != nil {
				return err
			}
			continue
		}
		if time.Now().After(p.NextProbe) {
			err := w.pauses.comeBack(ctx, key, 1, w.runAside)
			if err != nil && !errors.Is(err, errNone) && !errors.Is(err, errStillActive) {
				return err
			}
			if p.BotID == "" {
				if err := w.queuePauses.Probe(ctx, queues, p.Credential); err != nil {
					return err
				}
			}
		}
	}
	return w.sweepQueuePauses(ctx, queues)
}

// sweepQueuePauses resumes queues that we paused for a credential that is paused
// no longer. Where an operator has resumed one of ours, the credentials are probed
// at once, and the queue paused again until that says otherwise.
func (w *Worker) sweepQueuePauses(ctx context.Context, queues []string) error {
	for _, queue := range queues {
		note, err := w.queuePauses.Note(ctx, queue)
		if err != nil {
			return err
		}
		for _, credential := range note.Credentials {
			if err := w.sweepQueuePause(ctx, queue, credential, note.Stands); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepQueuePause does so for one credential. Its pause begins before its queues are
// paused, so it is looked up after them; and again after one was resumed, as it may have
// begun anew in between.
func (w *Worker) sweepQueuePause(ctx context.Context, queue, credential string, stands bool) error {
	key := pauseKey(credential, "")
	_, paused, err := w.pauses.get(ctx, key)
	if err != nil || paused && stands {
		return err
	}
	if paused {
		w.log.Info("somebody resumed a paused queue: probing at once", "queue", queue, "credential", credential)
		if err := w.pauses.probeNow(ctx, key); err != nil {
			return err
		}
	}
	if err := w.queuePauses.Resume(ctx, queue, credential); err != nil {
		return err
	}
	if !paused {
		w.log.Info("queue resumed", "queue", queue, "credential", credential)
	}
	if _, paused, err = w.pauses.get(ctx, key); err != nil || !paused {
		return err
	}
	_, err = w.queuePauses.Pause(ctx, queue, credential)
	return err
}

// bringBack runs all who stepped aside for a pause that has ended, and takes it off
// the list of pauses when nobody is left.
func (w *Worker) bringBack(ctx context.Context, key string) error {
	for {
		err := w.pauses.comeBack(ctx, key, asideChunk, w.runAside)
		if err == nil {
			continue
		}
		if errors.Is(err, errStillActive) {
			return nil // the next sweep will find it put aside
		}
		if !errors.Is(err, errNone) {
			return err
		}
		if err := w.cfg.Redis.SRem(ctx, pausesKey, key).Err(); err != nil {
			return fmt.Errorf("forget a pause: %w", err)
		}
		// Somebody may have stepped aside, or a pause begun, since we looked.
		n, err := w.cfg.Redis.Exists(ctx, key).Result()
		if err != nil {
			return fmt.Errorf("forget a pause: %w", err)
		}
		m, err := w.cfg.Redis.Exists(ctx, asideKey(key)).Result()
		if err != nil {
			return fmt.Errorf("forget a pause: %w", err)
		}
		if n+m > 0 {
			return w.cfg.Redis.SAdd(ctx, pausesKey, key).Err()
		}
		return nil
	}
}

// errStillActive is a task that has listed itself but is not put aside yet.
var errStillActive = errors.New("the task is active still")

// runAside runs a task that stepped aside. It listed itself before its handler
// returned to asynq: until then there is nothing to run, and to take it off the list
// would leave it aside for good.
func (w *Worker) runAside(queue, id string) error {
	err := w.inspector.RunTask(queue, id)
	if err == nil || errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return nil
	}
	info, infoErr := w.inspector.GetTaskInfo(queue, id)
	switch {
	case errors.Is(infoErr, asynq.ErrTaskNotFound):
		return nil
	case infoErr != nil:
		return fmt.Errorf("run task %s: %w", id, infoErr)
	case info.State == asynq.TaskStateActive:
		return errStillActive
	case info.State == asynq.TaskStatePending, info.State == asynq.TaskStateCompleted, info.State == asynq.TaskStateArchived:
		return nil
	}
	return fmt.Errorf("run task %s: %w", id, err)
}
