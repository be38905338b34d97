package batch

import (
	"time"

	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// recordJSON is a batch for programs. Only status and watch have its failures.
type recordJSON struct {
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

func kindOf(b *batches.Status) string {
	if b.Kind == batches.KindRun {
		return "run"
	}
	return "detached"
}

func newRecord(b *batches.Status) recordJSON {
	out := recordJSON{
		ID: b.ID, Name: b.Name, Kind: kindOf(b), State: b.State(), Queue: b.Queue, BotID: b.BotID,
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

func where(b *batches.Status) string {
	if b.Output == "" {
		return "its stdout on " + b.Host
	}
	return b.Output + " on " + b.Host
}
