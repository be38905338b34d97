package filerun

import (
	"context"
	"time"

	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

// twins are rows that ask the same, where there is a cache: the first is asked, the others wait for its answer. Where it
// gets none the next one is asked.
type twins struct {
	waiting []*input.Row
}

// fromCache answers a row from the cache, or has it wait for a twin that is being asked; if it can do neither the row
// has to be asked.
func (d *dueRows) fromCache(row *input.Row) (answered bool, err error) {
	if row.CacheKey = d.Cache.Key(row.Chat); row.CacheKey == "" {
		return false, nil
	}
	d.mu.Lock()
	t := d.twins[row.CacheKey]
	if t != nil {
		t.waiting = append(t.waiting, row)
		d.parked++
	}
	d.mu.Unlock()
	if t != nil {
		return true, nil
	}
	// A twin that ends in this moment is in the cache before it is out of the map.
	res := d.Cache.Get(row.CacheKey)
	if res == nil {
		return false, nil
	}
	d.recording.Lock()
	defer d.recording.Unlock()
	return true, d.recordCached(row, res)
}

// first notes that a row is asked, for those that ask the same.
func (d *dueRows) first(row *input.Row) {
	if row.CacheKey == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.twins[row.CacheKey] == nil {
		d.twins[row.CacheKey] = &twins{}
	}
}

// serveTwins hands on the rows whose twin got no answer, until at most so many rows wait for one.
func (d *dueRows) serveTwins(ctx context.Context, most int) error {
	for {
		d.mu.Lock()
		parked, next := d.parked, (*input.Row)(nil)
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
func (d *dueRows) giveUpTwins(row *input.Row) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.parked -= len(d.twins[row.CacheKey].waiting)
	delete(d.twins, row.CacheKey)
}

// settleTwins puts the answer to a row into the cache and gives it to all that wait for it; r.recording is held. What
// cannot be written into the cache is asked again one day: that is no reason to stop.
func (r *run) settleTwins(row *input.Row, res *results.Result) error {
	if row.CacheKey == "" {
		return nil
	}
	answered := answercache.Cacheable(res)
	if answered {
		r.Cache.Put(row.CacheKey, res)
	}
	r.mu.Lock()
	var waiting []*input.Row
	if t := r.twins[row.CacheKey]; t != nil {
		switch {
		case answered || len(t.waiting) == 0:
			waiting = t.waiting
			delete(r.twins, row.CacheKey)
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
func (r *run) recordCached(row *input.Row, earlier *results.Result) error {
	res := &results.Result{
		ID: r.journal.TaskID(row.N), Status: results.Completed, Cached: true,
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
	r.tally.Add(res, true)
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
