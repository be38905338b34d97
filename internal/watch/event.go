package watch

import (
	"errors"
	"fmt"
	"math"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
)

// Type says what an Event means.
type Type string

// The types of events.
const (
	Status    Type = "status"    // the task is queued, running or waiting
	Delta     Type = "delta"     // Text continues the answer
	Reasoning Type = "reasoning" // Text continues the model's reasoning
	Reset     Type = "reset"     // the answer begins anew: forget what came, reasoning included
	Gap       Type = "gap"       // pieces of the answer are gone that cannot be had any more: Result will have it whole
	End       Type = "end"       // the task has ended
)

// Event is one step of a task.
type Event struct {
	Type Type

	// ID is where a watcher goes on that has got this event: the id of its entry in the task's stream. Events that are in no
	// stream have none, but for an End, which always has one.
	ID string

	Text   string           // of a Delta or Reasoning
	Status results.Status   // of a Status
	Why    *results.Failure // of a Status that says waiting: the reason, if there is one
	Result *results.Result  // of an End; shared with other watchers, not to be changed
}

// ErrEnded is returned to a watcher that goes on behind the end: there is nothing more.
var ErrEnded = errors.New("the task has ended, and its end was seen")

// IDError is about an id that no event has.
type IDError struct{ ID string }

func (e *IDError) Error() string {
	return fmt.Sprintf("last event id %q: want the id of an event as it was sent, such as 1700000000000-0", e.ID)
}

// endID is the id of the end of a task that has none in a stream: it depends on nothing but the record, and is no id that
// Redis makes.
func endID(r *results.Result) record.EntryID {
	ms := uint64(0)
	if !r.CompletedAt.IsZero() {
		ms = uint64(r.CompletedAt.UnixMilli())
	}
	return record.EntryID{Milliseconds: ms, Number: math.MaxUint64}
}
