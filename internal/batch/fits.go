package batch

import (
	"context"
	"fmt"
	"os"

	"github.com/cozeq/cozeq/internal/sheet"
)

// fitsSheet finds what an xlsx has no place for: an *InvalidInput if it is texts.
func (in *Input) fitsSheet(ctx context.Context) error {
	if in.fits {
		return nil
	}
	stats, err := in.Check(ctx)
	if err != nil {
		return err
	}
	if stats.Rows >= sheet.MaxRows {
		return &UsageError{
			What: fmt.Sprintf("%s has %d rows, and an .xlsx takes %d", in.name, stats.Rows, sheet.MaxRows-1),
			Hint: "write to a .csv",
		}
	}
	c, err := in.outputColumns(ctx)
	if err != nil {
		return err
	}
	invalid := &InvalidInput{}
	for row, err := range in.Rows() {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for i, cell := range c.cells(row) {
			if err := sheet.Fits(cell); err != nil {
				invalid.add(in.problem(row.Line, "%s: %v: write to a .csv or .jsonl", c.names[i], err))
			}
		}
	}
	if invalid.Total > 0 {
		return invalid
	}
	in.fits = true
	return nil
}

// isFile reports whether info is that of the input's file.
func (in *Input) isFile(info os.FileInfo) (bool, error) {
	if in.file == nil {
		return false, nil
	}
	own, err := in.file.Stat()
	return err == nil && os.SameFile(own, info), err
}
