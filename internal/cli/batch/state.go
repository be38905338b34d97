package batch

import (
	"time"

	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// What a batch is doing, as a whole.
const (
	batchSubmitting = "submitting" // not all of its questions are in Redis; if its submit has died, for good
	batchOpen       = "open"
	batchCanceling  = "canceling" // questions that run are being ended
	batchDone       = "done"
	batchCanceled   = "canceled"
)

func stateOf(b *batches.Status) string {
	ended := b.Counts.Open() == 0
	switch {
	case !b.CanceledAt.IsZero() && ended:
		return batchCanceled
	case !b.CanceledAt.IsZero():
		return batchCanceling
	case ended:
		return batchDone
	case b.SubmittedAt.IsZero() && b.Kind != batches.KindRun:
		return batchSubmitting
	}
	return batchOpen
}

// batchJSON is a batch for programs. Failures are there in status and watch only.
type batchJSON struct {
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	Kind        string              `json:"kind"`
	State       string              `json:"state"`
	Queue       string              `json:"queue"`
	BotID       string              `json:"bot_id,omitempty"`
	Counts      batches.Counts      `json:"counts"`
	Usage       panel.Usage         `json:"usage"`
	Failures    []panel.FailureJSON `json:"failures,omitempty"`
	CreatedAt   results.Time        `json:"created_at"`
	SubmittedAt results.Time        `json:"submitted_at,omitzero"`
	EndedAt     results.Time        `json:"ended_at,omitzero"`
	CanceledAt  results.Time        `json:"canceled_at,omitzero"`
	ExpiresAt   results.Time        `json:"expires_at,omitzero"`
	Output      string              `json:"output,omitempty"`
	Host        string              `json:"host,omitempty"`
}

// What kinds of batches there are.
const (
	kindDetached = "detached"
	kindRun      = "run"
)

func kindOf(b *batches.Status) string {
	if b.Kind == batches.KindRun {
		return kindRun
	}
	return kindDetached
}

func batchRecord(b *batches.Status) batchJSON {
	out := batchJSON{
		ID: b.ID, Name: b.Name, Kind: kindOf(b), State: stateOf(b), Queue: b.Queue, BotID: b.BotID,
		Counts: b.Counts, Usage: panel.Usage(b.Tokens), Output: b.Output, Host: b.Host,
	}
	for _, at := range []struct {
		to   *results.Time
		from time.Time
	}{
		{&out.CreatedAt, b.CreatedAt}, {&out.SubmittedAt, b.SubmittedAt}, {&out.EndedAt, b.EndedAt},
		{&out.CanceledAt, b.CanceledAt}, {&out.ExpiresAt, b.ExpiresAt},
	} {
		if !at.from.IsZero() {
			*at.to = results.At(at.from)
		}
	}
	return out
}

// where says where the answers of a run are.
func where(b *batches.Status) string {
	if b.Output == "" {
		return "its stdout on " + b.Host
	}
	return b.Output + " on " + b.Host
}
