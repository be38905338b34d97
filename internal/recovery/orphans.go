package recovery

import (
	"context"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/internal/asynqx"
)

// asynq brings back the tasks of a dead worker after 55 to 120 s, uses up a retry for each, and has no setting for either.
// A task that is active without a lease (after a Redis failover) it never brings back. The sweep does both.
//
// A live server extends the lease of each of its tasks to 30 s every 5 s. A lease with less than orphanLease left means that
// its server has missed two beats and more: it is dead, frozen or cut off. Its tasks go back to the head of their queue, as
// asynq's own shutdown does it, with their retries untouched. If a worker dies right after a beat, its tasks are due
// 30 s - orphanLease = 13 s later, and put back within another sweepEvery.
//
// The guess may be wrong: the server was only slow. Then two handlers run for one task.
//
//   - The second begins before the first ends the record. Its Begin fences the first, and it looks up the chat that the
//     first had noted. The first finds itself fenced at its next write and gives the task back to asynq for later, which
//     takes it off the active list although the second still runs. The second ends the record all the same. asynq does not
//     find the task that it would mark as done, so the task comes back a last time and finds its record ended.
//   - The first ends the record before the second begins. The second finds it ended.
//
// Either way the question is asked once and its answer written once.
const (
	orphanLease = asynqx.OrphanLease
	orphanChunk = 100 // tasks moved by one script, as asynq's own scripts do

	// strayEvery is how often active tasks without a lease are looked for. That reads the whole list of active tasks, and
	// only a failover makes them.
	strayEvery = 10 * time.Second
)

// reviveOrphans puts the tasks of dead workers back.
func (s *Sweeper) reviveOrphans(ctx context.Context) error {
	for _, queue := range s.Queues {
		if err := s.reviveOrphansOf(ctx, queue); err != nil {
			return fmt.Errorf("put back orphans of queue %s: %w", queue, err)
		}
	}
	return nil
}

func (s *Sweeper) reviveOrphansOf(ctx context.Context, queue string) error {
	leases := asynqx.Leases{Redis: s.Redis}
	for {
		limit := time.Now().Add(orphanLease)
		due, err := leases.Due(ctx, queue, limit, orphanChunk)
		if err != nil {
			return err
		}
		var ids []string
		for _, task := range due {
			if why := poisoned(queue, task.ID, task.Message); why == "" {
				ids = append(ids, task.ID)
			} else if err := s.discard(ctx, queue, task.ID, task.Message, why); err != nil {
				return err
			}
		}
		if len(ids) > 0 {
			back, err := leases.PutBackDue(ctx, queue, limit, ids)
			if err != nil {
				return err
			}
			for _, id := range back {
				s.revived(queue, id, "its worker is gone")
			}
		}
		if len(due) < orphanChunk {
			return nil
		}
	}
}

// reviveStrays puts active tasks without a lease back.
func (s *Sweeper) reviveStrays(ctx context.Context) error {
	leases := asynqx.Leases{Redis: s.Redis}
	for _, queue := range s.Queues {
		strays, err := leases.Strays(ctx, queue)
		for _, task := range strays {
			if err == nil {
				err = s.reviveStray(ctx, leases, queue, task)
			}
		}
		if err != nil {
			return fmt.Errorf("put back strays of queue %s: %w", queue, err)
		}
	}
	return nil
}

func (s *Sweeper) reviveStray(ctx context.Context, leases asynqx.Leases, queue string, task asynqx.Leased) error {
	if why := poisoned(queue, task.ID, task.Message); why != "" {
		return s.discard(ctx, queue, task.ID, task.Message, why)
	}
	back, err := leases.PutBackStray(ctx, queue, task.ID)
	if back {
		s.revived(queue, task.ID, "it was active without a lease")
	}
	return err
}

func (s *Sweeper) revived(queue, id, why string) {
	s.Log.Warn("task put back in the queue: "+why, "task", id, "queue", queue)
	s.Revived()
}
