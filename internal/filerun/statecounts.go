package filerun

import (
	"time"

	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/tasks/batches"
)

// askedNotTaken is how long a question that is about to be sent may take to become a chat before it counts as waiting for
// a permit: Coze makes the chat within a second.
const askedNotTaken = 2 * time.Second

// stateCounts says where the open rows are. A row that only waits for a permit is not in flight.
type stateCounts struct {
	inFlight, queued int
	waits            progress.Waits
}

// stateCounts looks at each open row.
func (r *run) stateCounts(now time.Time) stateCounts {
	c := r.window.stateCounts(now)
	if !r.job.Forget {
		c = c.ofOthers(r.shared.batchCounts(), r.window.len())
	}
	c.waits[progress.WaitSame] = r.same.len()
	return c
}

func (w *window) stateCounts(now time.Time) (c stateCounts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	heads := make(map[string]int) // the first row of each lane
	lanes := make(map[string]string, len(w.byID))
	for id, o := range w.byID {
		lane := o.row.Chat.Lane()
		if lane == "" {
			continue
		}
		lanes[id] = lane
		if head, known := heads[lane]; !known || o.row.N < head {
			heads[lane] = o.row.N
		}
	}
	for id, o := range w.byID {
		lane := lanes[id]
		switch {
		case lane != "" && heads[lane] != o.row.N:
			c.waits[progress.WaitTurn]++
		case o.wait != progress.NoWait:
			c.waits[o.wait]++
		case !o.askedAt.IsZero() && now.Sub(o.askedAt) >= askedNotTaken:
			c.waits[progress.WaitRate]++
		case o.chat || !o.askedAt.IsZero():
			c.inFlight++
		default:
			c.queued++
		}
	}
	return c
}

// ofOthers corrects the counts where other processes do the work, by what their Redis has counted a moment ago. Without
// such counts only the waiting turns are known.
func (c stateCounts) ofOthers(counts batches.Counts, open int) (o stateCounts) {
	o.waits[progress.WaitTurn] = min(c.waits[progress.WaitTurn], open)
	if counts == (batches.Counts{}) {
		return o
	}
	left := open - o.waits[progress.WaitTurn]
	o.waits[progress.WaitOther] = min(max(0, counts.Waiting-o.waits[progress.WaitTurn]), left)
	left -= o.waits[progress.WaitOther]
	o.inFlight = min(counts.Running, left)
	o.queued = left - o.inFlight
	return o
}
