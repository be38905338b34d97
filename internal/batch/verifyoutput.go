package batch

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"unicode"
)

// verifyOutput reads back what is about to become OUTPUT, and finds whether it holds exactly one record for each row, in
// the order of the input. It is the last step of a run on a shared Redis, where others may have had their hands in it; a
// run alone has none but its own journal.
func (r *run) verifyOutput(ctx context.Context, name string) error {
	if r.Batches == nil {
		return nil
	}
	c, err := r.Input.outputColumns(ctx)
	if err != nil {
		return err
	}
	format := string(r.format)
	if r.compressed {
		format += compressedSuffix
	}
	next, stop := iter.Pull2(outputFile{path: name, format: format, id: c.id}.records(ctx))
	defer stop()
	for row, err := range r.Input.Rows() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		res, err, ok := next()
		switch {
		case err != nil:
			return err
		case !ok:
			return fmt.Errorf("row %d (custom_id %q) has no record", row.N, row.CustomID)
		case plainID(res.CustomID) != plainID(row.CustomID):
			return fmt.Errorf("the record of row %d has the custom_id %q, not %q", row.N, res.CustomID, row.CustomID)
		}
	}
	switch res, err, more := next(); {
	case err != nil:
		return err
	case more:
		return fmt.Errorf("there is a record too many, with custom_id %q", res.CustomID)
	}
	return nil
}

// plainID leaves out what a table does not give back as it was: spaces around a cell, line ends, control characters.
func plainID(id string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, id)
}
