package batchfile

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Verification is the faults of a batch.
type Verification struct {
	Rows   int     // of the batch
	Faulty int     // rows with a fault
	Faults []Fault // the first maxFaults of them
	Total  int     // how many faults there are
}

// Clean reports whether each row has exactly one valid record.
func (v *Verification) Clean() bool { return v.Total == 0 }

// Fault is one fault.
type Fault struct {
	Row      int    // from 1; 0 = not of one row
	CustomID string // "" where it is not known
	What     string
}

func (f Fault) String() string {
	switch {
	case f.Row == 0:
		return f.What
	case f.CustomID == "" || f.CustomID == strconv.Itoa(f.Row):
		return fmt.Sprintf("row %d: %s", f.Row, f.What)
	}
	return fmt.Sprintf("row %d (custom_id %q): %s", f.Row, f.CustomID, f.What)
}

// maxFaults bounds the memory for a batch that is gone altogether.
const maxFaults = 100_000

// verifier looks for faults. It keeps some 60 bytes for a row.
type verifier struct {
	*Detached
	Verification

	rows []expected     // by row
	ids  map[uint64]int // row by the hash of its custom_id; nil where these are not known
	seed maphash.Seed
}

// expected is what a row's record must be.
type expected struct {
	status results.Status // "" = that of a row that has not ended
	chat   uint64         // the hash of its chat; 0 = not known
	seen   int32          // how often it is in the file
	faulty bool
}

// Verify checks that each row of the batch has ended and has exactly one record in Redis, and that the file called output,
// if any, holds exactly one record for each row, in their order and with their status.
//
// The records of a run are in its own file: without output only the states of its rows are checked.
func (d *Detached) Verify(ctx context.Context, output string) (*Verification, error) {
	v := &verifier{Detached: d, seed: maphash.MakeSeed(), rows: make([]expected, d.Batch.Rows)}
	v.Rows = d.Batch.Rows
	var err error
	if d.Batch.Kind == batches.KindRun {
		err = v.states(ctx)
	} else {
		v.ids = make(map[uint64]int, d.Batch.Rows)
		err = v.records(ctx)
	}
	if err == nil && output != "" {
		err = v.file(ctx, output)
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(v.Faults, func(a, b Fault) int { return a.Row - b.Row })
	return &v.Verification, nil
}

func (v *verifier) fault(row int, customID, format string, args ...any) {
	v.Total++
	if row > 0 && !v.rows[row-1].faulty {
		v.rows[row-1].faulty = true
		v.Faulty++
	}
	if len(v.Faults) < maxFaults {
		v.Faults = append(v.Faults, Fault{row, customID, fmt.Sprintf(format, args...)})
	}
}

func (v *verifier) records(ctx context.Context) error {
	states, err := v.Batches.States(ctx, v.Batch.ID)
	if err != nil {
		return err
	}
	for r, err := range v.each(ctx, false) {
		if err != nil {
			return err
		}
		id, noted := r.Result.CustomID, states.Status(r.Row.N)
		v.ids[v.hash(id)] = r.Row.N
		if noted.Terminal() || r.Result.Status.Terminal() {
			v.rows[r.Row.N-1].status = r.Result.Status
		}
		if !r.Lost {
			v.rows[r.Row.N-1].chat = v.hash(r.Result.ChatID)
		}
		switch {
		case r.Lost && noted.Terminal():
			v.fault(r.Row.N, id, "its record has gone from Redis, where it had ended as %s", noted)
		case r.Lost:
			v.fault(r.Row.N, id, "its record has gone from Redis before it ended")
		case r.Row.N > v.Batch.Enqueued:
			v.fault(r.Row.N, id, "it was never enqueued: the batch's submit was interrupted")
		case !r.Result.Status.Terminal():
			v.fault(r.Row.N, id, "it has not ended: %s", r.Result.Status)
		case noted != r.Result.Status:
			v.fault(r.Row.N, id, "the batch counts it as %s, its record says %s", noted, r.Result.Status)
		case r.Result.Sealed != nil:
			v.fault(r.Row.N, id, "its record is %v", r.Result.Sealed)
		case r.Result.ID != batches.TaskID(v.Batch.ID, r.Row.N, states.Attempt(r.Row.N)):
			v.fault(r.Row.N, id, "its record is that of %s", r.Result.ID)
		}
		if r.RowLost {
			v.fault(r.Row.N, id, "its question has gone from Redis, so that it cannot be asked again")
		}
	}
	return nil
}

func (v *verifier) states(ctx context.Context) error {
	states, err := v.Batches.States(ctx, v.Batch.ID)
	if err != nil {
		return err
	}
	for n := 1; n <= states.Len(); n++ {
		if s := states.Status(n); s.Terminal() {
			v.rows[n-1].status = s
		} else {
			v.fault(n, "", "it has not ended: %s", s)
		}
	}
	return nil
}

func (v *verifier) file(ctx context.Context, path string) error {
	form := input.Form{ID: input.FieldCustomID}
	if v.ids != nil {
		var err error
		if form, err = v.form(); err != nil {
			return err
		}
	}
	last, at := 0, 0
	ordered := true
	for res, err := range (output.File{Path: path, ID: form.ID}).Records(ctx) {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		at++
		n := v.rowOf(res, at)
		if n == 0 {
			v.fault(0, "", "%s: record %d (custom_id %q) is of no row of the batch", path, at, res.CustomID)
			continue
		}
		row := &v.rows[n-1]
		if row.seen++; row.seen > 1 {
			continue // counted reports it
		}
		if ordered && n < last {
			ordered = false // one record out of place moves the others
			v.fault(n, res.CustomID, "%s: record %d is out of order, it stands behind that of row %d", path, at, last)
		}
		last = max(last, n)
		if row.status != "" && row.status != res.Status {
			v.fault(n, res.CustomID, "%s says %s, the batch %s", path, res.Status, row.status)
		} else if row.chat != 0 && row.chat != v.hash(res.ChatID) {
			v.fault(n, res.CustomID, "%s has the record of another chat: it was asked again since, or somebody has changed it", path)
		}
	}
	return v.counted(ctx, path)
}

func (v *verifier) hash(text string) uint64 { return maphash.String(v.seed, text) }

// rowOf finds the row of a record, 0 if there is none. A table of a run's answers has no ids, but has them in order.
func (v *verifier) rowOf(res *results.Result, at int) int {
	if res.ID != "" {
		if batch, n, _, ok := batches.ParseTaskID(res.ID); ok && batch == v.Batch.ID && n <= len(v.rows) {
			return n
		}
		return 0
	}
	if v.ids != nil {
		return v.ids[v.hash(res.CustomID)]
	}
	if at > len(v.rows) {
		return 0
	}
	return at
}

// counted reports rows that the file does not have, or has more than once.
func (v *verifier) counted(ctx context.Context, path string) error {
	if !slices.ContainsFunc(v.rows, func(e expected) bool { return e.seen != 1 }) {
		return nil
	}
	tell := func(n int, id string) {
		switch seen := v.rows[n-1].seen; seen {
		case 0:
			v.fault(n, id, "%s has no record of it", path)
		case 1:
		default:
			v.fault(n, id, "%s has %d records of it", path, seen)
		}
	}
	if v.ids == nil {
		for n := range v.rows {
			tell(n+1, "")
		}
		return nil
	}
	for row, err := range v.Batches.Rows(ctx, v.Batch.ID) {
		if missing, ok := errors.AsType[*batches.MissingRowsError](err); ok {
			for n := missing.From; n <= missing.To; n++ {
				tell(n, "")
			}
			continue
		}
		if err != nil {
			return err
		}
		tell(row.N, row.CustomID)
	}
	return nil
}
