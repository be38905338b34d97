package watch

import (
	"context"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
)

// read reads once from where the watcher stands, and tells what is new. more: there is more to read.
func (w *watcher) read(ctx context.Context) (more bool, err error) {
	l, err := w.ask(ctx)
	if err != nil {
		return false, err
	}
	if l.Status.Terminal() {
		return w.readEnded(ctx, l)
	}
	if err := w.tellStatus(l); err != nil {
		return false, err
	}
	if l.Lost || w.unknown() {
		// Trimmed, or another stream: all that is kept is told anew.
		w.resumed = record.EntryID{}
		w.move(record.EntryID{})
		return true, w.say(Event{Type: Reset})
	}
	if l.Cut {
		if err := w.say(Event{Type: Gap}); err != nil {
			return false, err
		}
	}
	return l.More, w.tellDeltas(l.Deltas)
}

// readEnded is read for a task that has ended: its stream is complete.
func (w *watcher) readEnded(ctx context.Context, l *record.Look) (more bool, err error) {
	switch {
	case l.Cut: // the answer is whole in the result, so it is told in one piece
		return false, w.tellEnd(ctx, true)
	case l.Kept > 0 && (l.Lost || w.unknown()):
		if r, id, err := w.end(ctx); err != nil {
			return false, err
		} else if r.Status.Terminal() && id == w.resumed {
			return false, ErrEnded
		}
		w.resumed = record.EntryID{}
		w.move(record.EntryID{})
		return true, w.say(Event{Type: Reset})
	}
	if err := w.tellDeltas(l.Deltas); err != nil || l.More {
		return l.More, err
	}
	return false, w.tellEnd(ctx, false)
}

// unknown reports whether the caller goes on behind an event that the stream does not have: see start.
func (w *watcher) unknown() bool {
	return w.resumed != (record.EntryID{}) && w.at == (record.EntryID{})
}

func (w *watcher) ask(ctx context.Context) (*record.Look, error) {
	select {
	case w.hub.reads <- struct{}{}:
		defer func() { <-w.hub.reads }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return w.hub.records.Look(ctx, w.id, w.at)
}

func (w *watcher) say(e Event) error {
	w.told = true
	if !w.yield(e) {
		return errStopped
	}
	return nil
}

func (w *watcher) tellStatus(l *record.Look) error {
	var why results.Failure
	if l.Why != nil {
		why = *l.Why
	}
	if l.Status == w.status && why == w.why {
		return nil
	}
	w.why = why
	w.hub.mu.Lock()
	w.status = l.Status
	w.hub.mu.Unlock()
	return w.say(Event{Type: Status, Status: l.Status, Why: l.Why})
}

// tellDeltas tells what was read. An end comes last: it is told with the result, see tellEnd. One that others follow is of a
// task that was asked anew.
func (w *watcher) tellDeltas(deltas []record.Delta) error {
	for i, d := range deltas {
		if d.Type == record.DeltaEnd {
			if i == len(deltas)-1 {
				return nil
			}
			d.Type = record.DeltaReset
		}
		w.move(d.ID)
		if err := w.say(Event{Type: Type(d.Type), ID: d.ID.String(), Text: d.Text}); err != nil {
			return err
		}
	}
	return nil
}

// tellEnd tells the end, and before it the answer in one piece if that is wanted. It returns nil if the task was asked anew
// just now.
func (w *watcher) tellEnd(ctx context.Context, answer bool) error {
	r, id, err := w.end(ctx)
	if err != nil || !r.Status.Terminal() {
		return err
	}
	if w.resumed == id {
		return ErrEnded
	}
	if answer {
		if err := w.say(Event{Type: Reset}); err != nil {
			return err
		}
		for _, e := range []Event{{Type: Reasoning, Text: r.Reasoning}, {Type: Delta, Text: r.Answer}} {
			if e.Text == "" {
				continue
			}
			if err := w.say(e); err != nil {
				return err
			}
		}
	}
	if err := w.say(Event{Type: End, ID: id.String(), Result: r}); err != nil {
		return err
	}
	return errStopped
}

func (w *watcher) end(ctx context.Context) (*results.Result, record.EntryID, error) {
	last, err := w.hub.records.LastDelta(ctx, w.id)
	if err != nil {
		return nil, record.EntryID{}, err
	}
	r, err := w.hub.store.Get(ctx, w.id)
	if err != nil {
		return nil, record.EntryID{}, err
	}
	if last.Type == record.DeltaEnd {
		return r, last.ID, nil
	}
	return r, endID(r), nil
}

func (w *watcher) move(to record.EntryID) {
	w.hub.mu.Lock()
	w.at = to
	w.hub.mu.Unlock()
}
