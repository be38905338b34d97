package tasktest

import (
	"fmt"
	"strings"

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Batch is a batch with a view of what is in it.
type Batch struct {
	*Line
	*batches.Client
	ID string
}

func NewBatch(l *Line, id string) *Batch { return &Batch{l, batches.New(l.Tasks), id} }

// End ends a row's current ask, as a worker does.
func (b *Batch) End(row int, how results.Status) {
	b.T.Helper()
	states, err := b.Client.States(b.T.Context(), b.ID)
	b.Must(err)
	a := b.Begin(batches.TaskID(b.ID, row, states.Attempt(row)))
	r := &a.Result
	r.Status, r.Usage = how, &results.Usage{TokenCount: 12, OutputCount: 10, InputCount: 2}
	if how == results.Failed {
		r.Error = &results.Failure{Class: "rate", Code: 4013}
	}
	b.Must(a.Finish(b.T.Context(), false))
	b.Must(tally.New(b.Redis).MarkResult(b.T.Context(), r))
}

func (b *Batch) Read() *batches.Status {
	b.T.Helper()
	status, err := b.Get(b.T.Context(), b.ID)
	b.Must(err)
	return status
}

// Letters are the rows' states, as Redis has them, each with its ask where that is not 1.
func (b *Batch) Letters(want string) {
	b.T.Helper()
	states, err := b.Client.States(b.T.Context(), b.ID)
	b.Must(err)
	var text strings.Builder
	for row := 1; row <= states.Len(); row++ {
		text.WriteString(map[results.Status]string{
			results.Queued: "q", results.Waiting: "w", results.Running: "r",
			results.Completed: "C", results.Failed: "F", results.Canceled: "X", results.Expired: "E",
		}[states.Status(row)])
		if ask := states.Attempt(row); ask > 1 {
			fmt.Fprint(&text, ask)
		}
	}
	if text.String() != want {
		b.T.Errorf("states %s, want %s", text.String(), want)
	}
}
