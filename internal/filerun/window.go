package filerun

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/progress"
)

// openRow is a row that has no record yet and is in the queue, being asked, or about to be.
type openRow struct {
	row      *input.Row
	id       string // of its task
	cacheKey string // see coalescer; "" = its answer is not shared
	queued   bool   // Enqueue has returned
	lost     bool   // its record was gone from Redis, and it was enqueued again

	// The last that the worker of this process has reported.
	askedAt time.Time // it is about to be asked, and no chat is known yet
	chat    bool      // its chat runs
	wait    progress.Wait
}

// window is the rows that are open at a time. It is safe for concurrent use.
type window struct {
	places   chan struct{} // a token for each open row, and for each place that is kept back
	keptBack int           // see Job.SmallWindow

	mu   sync.Mutex
	byID map[string]*openRow
}

func newWindow(size, small int) *window {
	if size <= 0 {
		size = defaultWindow
	}
	w := &window{places: make(chan struct{}, size), byID: make(map[string]*openRow)}
	if small > 0 {
		w.keptBack = max(0, size-small)
	}
	for range w.keptBack {
		w.places <- struct{}{}
	}
	return w
}

// add takes a place for a row. If there is none it calls full and waits.
func (w *window) add(ctx context.Context, o *openRow, full func() error) error {
	if o.row.Chat.Lane() != "" {
		for ; w.keptBack > 0; w.keptBack-- {
			<-w.places
		}
	}
	select {
	case w.places <- struct{}{}:
	default:
		if err := full(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case w.places <- struct{}{}:
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byID[o.id] = o
	return nil
}

// get returns an open row; nil if it has its record.
func (w *window) get(id string) *openRow {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.byID[id]
}

// remove takes a row out that has its record now. leave frees its place.
func (w *window) remove(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byID, id)
}

func (w *window) leave() { <-w.places }

func (w *window) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byID)
}

// all lists the rows, in no order.
func (w *window) all() []*openRow {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.byID))
}

// queued lists the rows that are in the queue, in the order of the input.
func (w *window) queued() []*openRow {
	w.mu.Lock()
	defer w.mu.Unlock()
	var rows []*openRow
	for _, o := range w.byID {
		if o.queued {
			rows = append(rows, o)
		}
	}
	slices.SortFunc(rows, func(a, b *openRow) int { return a.row.N - b.row.N })
	return rows
}

// notQueued returns those of these tasks whose rows are still being enqueued.
func (w *window) notQueued(ids []string) (left []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if o := w.byID[id]; o != nil && !o.queued {
			left = append(left, id)
		}
	}
	return left
}

// setQueued notes that rows are in the queue.
func (w *window) setQueued(rows []*openRow) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range rows {
		o.queued = true
	}
}

// update changes a row, if it is open.
func (w *window) update(id string, change func(*openRow)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o := w.byID[id]; o != nil {
		change(o)
	}
}
