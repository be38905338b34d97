package filerun

import (
	"time"

	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/tasks/batches"
)

// askedNotTaken is how long after a question was about to be sent it must have become a chat, or it is taken to wait for
// a permit: Coze makes the chat within a second.
const askedNotTaken = 2 * time.Second

// Stepped tells of a row whose attempt ended without ending the row: for the hook of a worker in this process. Tasks of
// others are none of its business. Safe for concurrent use.
func (j *Job) Stepped(id string, why progress.Wait) {
	r := j.gate.peek()
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.flights[id]; f != nil {
		f.wait, f.asked, f.chat = why, time.Time{}, false
	}
}

// stepped notes how far a row has come.
func (r *run) stepped(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.flights[p.ID]; f != nil {
		f.wait, f.asked, f.chat = progress.NoWait, p.AskedAt, p.ChatID != ""
	}
}

// census says where the open rows of the window are. It counts a chat as in flight from the moment that it is about to be
// sent: a row that only waits for leave to ask is not in flight.
type census struct {
	inFlight, queued int
	waits            progress.Waits
}

// census looks at each open row of the window; r.mu is held.
func (r *run) census(now time.Time) (c census) {
	heads := make(map[string]int) // the first row of each lane
	lanes := make(map[string]string, len(r.flights))
	for id, f := range r.flights {
		lane := f.row.Chat.Lane()
		if lane == "" {
			continue
		}
		lanes[id] = lane
		if head, known := heads[lane]; !known || f.row.N < head {
			heads[lane] = f.row.N
		}
	}
	for id, f := range r.flights {
		lane := lanes[id]
		switch {
		case lane != "" && heads[lane] != f.row.N:
			c.waits[progress.WaitTurn]++
		case f.wait != progress.NoWait:
			c.waits[f.wait]++
		case !f.asked.IsZero() && now.Sub(f.asked) >= askedNotTaken:
			c.waits[progress.WaitRate]++
		case f.chat || !f.asked.IsZero():
			c.inFlight++
		default:
			c.queued++
		}
	}
	if !r.Forget {
		c = c.ofOthers(r.counts, len(r.flights))
	}
	c.waits[progress.WaitSame] = r.parked
	return c
}

// ofOthers corrects what this process cannot know where others do the work, by what their Redis has counted a moment ago;
// without counts there is nothing to say but whose turn has not come.
func (c census) ofOthers(counts batches.Counts, flights int) (o census) {
	o.waits[progress.WaitTurn] = min(c.waits[progress.WaitTurn], flights)
	if counts == (batches.Counts{}) {
		return o
	}
	left := flights - o.waits[progress.WaitTurn]
	o.waits[progress.WaitOther] = min(max(0, counts.Waiting-o.waits[progress.WaitTurn]), left)
	left -= o.waits[progress.WaitOther]
	o.inFlight = min(counts.Running, left)
	o.queued = left - o.inFlight
	return o
}
