package batch

import (
	"context"
	"time"

	"github.com/cozeq/cozeq/results"
)

// twins are rows that ask the same, where there is a cache: the first is asked, the others wait for its answer. Where it
// gets none the next one is asked.
type twins struct {
	waiting []*Row
}

// fromCache answers a row from the cache, or has it wait for a twin that is being asked; if it can do neither the row
// has to be asked.
func (d *dueRows) fromCache(row *Row) (answered bool, err error) {
	if row.cacheKey = d.Cache.key(row.Chat); row.cacheKey == "" {
		return false, nil
	}
	d.mu.Lock()
	t := d.twins[row.cacheKey]
	if t != nil {
		t.waiting = append(t.waiting, row)
		d.parked++
	}
	d.mu.Unlock()
	if t != nil {
		return true, nil
	}
	// A twin that ends in this moment is in the cache before it is out of the map.
	res := d.Cache.get(row.cacheKey)
	if res == nil {
		return false, nil
	}
	d.recording.Lock()
	defer d.recording.Unlock()
	return true, d.recordCached(row, res)
}

// first notes that a row is asked, for those that ask the same.
func (d *dueRows) first(row *Row) {
	if row.cacheKey == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.twins[row.cacheKey] == nil {
		d.twins[row.cacheKey] = &twins{}
	}
}

// serveTwins hands on the rows whose twin got no answer, until at most so many rows wait for one.
func (d *dueRows) serveTwins(ctx context.Context, most int) error {
	for {
		d.mu.Lock()
		parked, next := d.parked, (*Row)(nil)
		if len(d.released) > 0 {
			next, d.released = d.released[0], d.released[1:]
		}
		d.mu.Unlock()
		if next == nil {
			if parked <= most {
				return nil
			}
			if err := d.await(ctx); err != nil {
				return err
			}
			continue
		}
		afforded, err := d.afford(ctx, next)
		if err != nil {
			return err
		}
		if !afforded {
			d.giveUpTwins(next)
			continue
		}
		if err := d.take(next); err != nil {
			return err
		}
	}
}

// giveUpTwins lets go of rows that the budget does not allow: they are for a later run.
func (d *dueRows) giveUpTwins(row *Row) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.parked -= len(d.twins[row.cacheKey].waiting)
	delete(d.twins, row.cacheKey)
}

// settleTwins puts the answer to a row into the cache and gives it to all that wait for it; r.recording is held. What
// cannot be written into the cache is asked again one day: that is no reason to stop.
func (r *run) settleTwins(row *Row, res *results.Result) error {
	if row.cacheKey == "" {
		return nil
	}
	answered := cacheable(res)
	if answered {
		r.Cache.put(row.cacheKey, res)
	}
	r.mu.Lock()
	var waiting []*Row
	if t := r.twins[row.cacheKey]; t != nil {
		switch {
		case answered || len(t.waiting) == 0:
			waiting = t.waiting
			delete(r.twins, row.cacheKey)
			r.parked -= len(waiting)
		default:
			r.released = append(r.released, t.waiting[0])
			t.waiting = t.waiting[1:]
			r.parked--
		}
	}
	r.mu.Unlock()
	for _, twin := range waiting {
		if err := r.recordCached(twin, res); err != nil {
			return err
		}
	}
	return nil
}

// recordCached writes down that a row has an earlier answer; r.recording is held.
func (r *run) recordCached(row *Row, earlier *results.Result) error {
	res := &results.Result{
		ID: r.journal.taskID(row.N), Status: results.Completed, Cached: true,
		Answer: earlier.Answer, ContentType: earlier.ContentType, Parts: earlier.Parts, Reasoning: earlier.Reasoning, FollowUps: earlier.FollowUps,
		BotID: row.Chat.BotID, UserID: row.Chat.UserID,
		ConversationID: earlier.ConversationID, ChatID: earlier.ChatID,
		CompletedAt: earlier.CompletedAt,
	}
	if res.CompletedAt.IsZero() {
		res.CompletedAt = results.At(time.Now())
	}
	if err := r.write(row, res); err != nil {
		return err
	}
	r.mu.Lock()
	r.tally.add(res, true)
	r.mu.Unlock()
	if r.Batches != nil {
		r.letGo(res) // it was never in Redis, but its row counts there
	}
	if r.OnRecord != nil {
		r.OnRecord(row, res)
	}
	r.show(false)
	return nil
}
