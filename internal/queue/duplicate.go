package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/results"
)

func duplicate(id string) error { return fmt.Errorf("%s: %w", id, ErrDuplicate) }

// look looks at the task that asynq has under this id. If it has ended and has no result any more, asynq only shows it:
// look deletes it, and the id is free. Otherwise waits says whether the task waits for its turn.
func (q *Queue) look(ctx context.Context, p lane.Place) (free, waits bool, err error) {
	info, err := q.Inspector.GetTaskInfo(p.Queue, p.ID)
	ended := errors.Is(err, asynq.ErrTaskNotFound)
	if err != nil && !ended {
		return false, false, fmt.Errorf("look at task %s: %w", p.ID, err)
	}
	if err == nil {
		ended = info.State == asynq.TaskStateCompleted || info.State == asynq.TaskStateArchived
		waits = lane.Waits(time.Until(info.NextProcessAt))
	}
	if !ended {
		return false, waits, nil
	}
	r, err := q.Results.Get(ctx, p.ID)
	switch {
	case err == nil && r.Status.Terminal():
		// It has ended since, and may have joined its lane again by this call.
		if p.Lane != "" {
			err = q.Lanes.Leave(ctx, p)
		}
		if err == nil {
			err = duplicate(p.ID)
		}
		return false, false, err
	case err != nil && !errors.Is(err, results.ErrNotFound):
		return false, false, err
	}
	err = q.Inspector.DeleteTask(p.Queue, p.ID)
	if err != nil && !errors.Is(err, asynq.ErrTaskNotFound) {
		return false, false, fmt.Errorf("make room for task %s: %w", p.ID, err)
	}
	return true, false, nil
}
