package batchfile

import (
	"time"

	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Pace makes snapshots of a batch that is looked at several times, which shows its rate.
type Pace struct {
	meter progress.Meter
	done  int // at the last look
}

// Snapshot is how far the batch has come. Calls must be in the order of the looks.
func (p *Pace) Snapshot(b *batches.Status) progress.Snapshot {
	now := time.Now()
	done := b.Counts.Total - b.Counts.Open()
	if p.meter.Start.IsZero() {
		p.meter.Start, p.done = now, done
	}
	p.meter.Count(now, max(0, done-p.done)) // a retry takes rows back
	p.done = done
	s := progress.Snapshot{
		Total:    b.Counts.Total,
		Done:     done,
		Failed:   done - b.Counts.Completed,
		Enqueued: b.Counts.Open(),
		InFlight: b.Counts.Running,
		Queued:   b.Counts.Queued,
		Tokens:   b.Tokens.TokenCount, TokensIn: b.Tokens.InputCount, TokensOut: b.Tokens.OutputCount,
		Counted: b.Counts.Completed + b.Counts.Failed,
		Rate:    p.meter.Rate(now),
		Mean:    p.meter.Mean(now),
		Left:    p.meter.Left(now, b.Counts.Open()),
		Elapsed: now.Sub(b.CreatedAt),
	}
	s.Waiting[progress.WaitOther] = b.Counts.Waiting
	classes := make(map[string]int)
	for _, f := range b.Failures {
		classes[f.Class] += f.Count
	}
	s.Failures = progress.ClassCounts(classes)
	return s
}
