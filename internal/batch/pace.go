package batch

import (
	"time"

	"github.com/cozeq/cozeq/tasks"
)

// Pace makes snapshots of looks at a batch: how fast it goes shows only in several of them.
type Pace struct {
	meter meter
	done  int // at the last look
}

// Snapshot is how far the batch is at this look, which comes after all earlier ones.
func (p *Pace) Snapshot(b *tasks.Batch) Snapshot {
	now := time.Now()
	done := b.Counts.Total - b.Counts.Open()
	if p.meter.start.IsZero() {
		p.meter.start, p.done = now, done
	}
	p.meter.count(now, max(0, done-p.done)) // a retry takes rows back
	p.done = done
	s := Snapshot{
		Total:    b.Counts.Total,
		Done:     done,
		Failed:   done - b.Counts.Completed,
		Enqueued: b.Counts.Open(),
		InFlight: b.Counts.Running,
		Queued:   b.Counts.Queued,
		Tokens:   b.Tokens.TokenCount, TokensIn: b.Tokens.InputCount, TokensOut: b.Tokens.OutputCount,
		Counted: b.Counts.Completed + b.Counts.Failed,
		Rate:    p.meter.rate(now),
		Mean:    p.meter.mean(now),
		Left:    p.meter.left(now, b.Counts.Open()),
		Elapsed: now.Sub(b.CreatedAt),
	}
	s.Waiting[WaitOther] = b.Counts.Waiting
	classes := make(map[string]int)
	for _, f := range b.Failures {
		classes[f.Class] += f.Count
	}
	s.Failures = classCounts(classes)
	return s
}
