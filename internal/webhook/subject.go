package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// errUnknown: there is no such task or batch. Not yet, or not any more.
var errUnknown = errors.New("there is no such task or batch: it was never enqueued, or was kept for too short a time")

// ended is the event of what has ended; the zero value says that it has not.
type ended struct {
	body []byte
	at   time.Time
}

func (s *Sender) read(ctx context.Context, n *note) (ended, error) {
	if n.Kind == Batch {
		return s.readBatch(ctx, n.ID)
	}
	r, err := s.store.Get(ctx, n.ID)
	switch {
	case errors.Is(err, results.ErrNotFound):
		return ended{}, errUnknown
	case err != nil:
		return ended{}, err
	case !r.Status.Terminal():
		return ended{}, nil
	case r.Sealed != nil: // ciphertext is no answer
		return ended{}, r.Sealed
	}
	body, err := taskEvent(r, s.cfg.API)
	if err != nil {
		return ended{}, fmt.Errorf("encode the event: %w", err)
	}
	return ended{body, r.CompletedAt.Time}, nil
}

func (s *Sender) readBatch(ctx context.Context, id string) (ended, error) {
	b, err := s.batches.Get(ctx, id)
	switch {
	case errors.Is(err, batches.ErrNotFound):
		return ended{}, errUnknown
	case err != nil:
		return ended{}, err
	case b.EndedAt.IsZero():
		return ended{}, nil
	}
	body, err := batchEvent(b, s.cfg.API)
	if err != nil {
		return ended{}, fmt.Errorf("encode the event: %w", err)
	}
	return ended{body, b.EndedAt}, nil
}

// kept is the body that an earlier try has sent, nil if there is none. asynq keeps it with the task, see Sender.keep.
func (s *Sender) kept(n *note) ([]byte, error) {
	info, err := s.inspector.GetTaskInfo(Queue, n.Kind.taskID(n.ID))
	if err != nil {
		return nil, err
	}
	if len(info.Result) == 0 {
		return nil, nil
	}
	text, err := s.store.Keys.Open(n.ID, sealBody, string(info.Result))
	return []byte(text), err
}
