package pause

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/rediskey"
)

// Sweeper ends pauses and brings back their parked tasks. Several may work at the same time.
type Sweeper struct {
	Pauses    Store
	Queues    asynqx.QueuePauses
	Inspector *asynq.Inspector
	Log       *slog.Logger
}

// Sweep makes due probes, ends the pauses of credentials that no worker serves any more, and, for pauses that have ended, runs
// the parked tasks and resumes the queues.
func (s *Sweeper) Sweep(ctx context.Context) error {
	keys, err := s.Pauses.keys(ctx)
	if err != nil {
		return err
	}
	queues, err := s.Queues.Queues(ctx) // also those that this process does not serve
	if err != nil {
		return err
	}
	for _, key := range keys {
		p, ok, err := s.Pauses.Get(ctx, key)
		if err != nil {
			return err
		}
		if ok {
			served, err := served(ctx, s.Pauses.Redis, p.Credential)
			if err != nil {
				return err
			}
			if !served {
				s.Log.Info("a pause ends: no worker serves its credential any more", "credential", p.Credential, "bot", p.BotID)
				if err := s.Pauses.End(ctx, p.Credential, p.BotID); err != nil {
					return err
				}
				ok = false
			}
		}
		if !ok {
			if err := s.bringBack(ctx, key); err != nil {
				return err
			}
			continue
		}
		if time.Now().After(p.NextProbe) {
			err := s.Pauses.runParked(ctx, key, 1, s.runListed)
			if err != nil && !errors.Is(err, errNoneParked) && !errors.Is(err, errStillActive) {
				return err
			}
			if p.BotID == "" {
				if err := s.Queues.Probe(ctx, queues, p.Credential); err != nil {
					return err
				}
			}
		}
	}
	return s.sweepQueuePauses(ctx, queues)
}

// sweepQueuePauses resumes queues that were paused for a credential whose pause has ended. If an operator has resumed such a
// queue earlier, the credential is probed at once, and the queue is paused again until the probe is answered.
func (s *Sweeper) sweepQueuePauses(ctx context.Context, queues []string) error {
	for _, queue := range queues {
		note, err := s.Queues.Note(ctx, queue)
		if err != nil {
			return err
		}
		for _, credential := range note.Credentials {
			if err := s.sweepQueuePause(ctx, queue, credential, note.Stands); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepQueuePause does so for one credential. A pause begins before its queues are paused, so it is read after them. It is read
// again after a queue was resumed: a new pause may have begun in between.
func (s *Sweeper) sweepQueuePause(ctx context.Context, queue, credential string, stands bool) error {
	key := rediskey.Pause(credential, "")
	_, paused, err := s.Pauses.Get(ctx, key)
	if err != nil || paused && stands {
		return err
	}
	if paused {
		s.Log.Info("an operator resumed a paused queue: probing at once", "queue", queue, "credential", credential)
		if err := s.Pauses.probeNow(ctx, key); err != nil {
			return err
		}
	}
	if err := s.Queues.Resume(ctx, queue, credential); err != nil {
		return err
	}
	if !paused {
		s.Log.Info("queue resumed", "queue", queue, "credential", credential)
	}
	if _, paused, err = s.Pauses.Get(ctx, key); err != nil || !paused {
		return err
	}
	_, err = s.Queues.Pause(ctx, queue, credential)
	return err
}

// bringBack runs all parked tasks of a pause that has ended, and then removes the pause from the list.
func (s *Sweeper) bringBack(ctx context.Context, key string) error {
	for {
		err := s.Pauses.runParked(ctx, key, parkedChunk, s.runListed)
		if err == nil {
			continue
		}
		if errors.Is(err, errStillActive) {
			return nil // the next sweep finds it parked
		}
		if !errors.Is(err, errNoneParked) {
			return err
		}
		if err := s.Pauses.Redis.SRem(ctx, rediskey.Pauses, key).Err(); err != nil {
			return fmt.Errorf("forget a pause: %w", err)
		}
		// A task may have been parked, or a pause may have begun, meanwhile.
		n, err := s.Pauses.Redis.Exists(ctx, key).Result()
		if err != nil {
			return fmt.Errorf("forget a pause: %w", err)
		}
		m, err := s.Pauses.Redis.Exists(ctx, rediskey.Parked(key)).Result()
		if err != nil {
			return fmt.Errorf("forget a pause: %w", err)
		}
		if n+m > 0 {
			return s.Pauses.Redis.SAdd(ctx, rediskey.Pauses, key).Err()
		}
		return nil
	}
}

// errStillActive is for a task that is listed but not parked yet.
var errStillActive = errors.New("the task is active still")

// runListed runs a parked task. The task is listed before its handler returns to asynq. Until then it is active and cannot be
// run, and it must stay on the list, or it would be parked for good.
func (s *Sweeper) runListed(queue, id string) error {
	err := s.Inspector.RunTask(queue, id)
	if err == nil || errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return nil
	}
	info, infoErr := s.Inspector.GetTaskInfo(queue, id)
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
