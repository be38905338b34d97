package input

import (
	"context"
	"fmt"
	"os"

	"github.com/cozeq/cozeq/internal/sheet"
	"github.com/cozeq/cozeq/internal/usage"
)

// FitsSheet checks that an xlsx has room for the input. Texts that are too long are an *InvalidInput.
func (in *Input) FitsSheet(ctx context.Context) error {
	if in.fits {
		return nil
	}
	stats, err := in.Check(ctx)
	if err != nil {
		return err
	}
	if stats.Rows >= sheet.MaxRows {
		return &usage.Error{
			What: fmt.Sprintf("%s has %d rows, and an .xlsx takes %d", in.name, stats.Rows, sheet.MaxRows-1),
			Hint: "write to a .csv",
		}
	}
	c, err := in.OutputColumns(ctx)
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
		for i, cell := range c.Cells(row) {
			if err := sheet.Fits(cell); err != nil {
				invalid.add(in.problem(row.Line, "%s: %v: write to a .csv or .jsonl", c.Names[i], err))
			}
		}
	}
	if invalid.Total > 0 {
		return invalid
	}
	in.fits = true
	return nil
}

// IsFile reports whether info is that of the input's file.
func (in *Input) IsFile(info os.FileInfo) (bool, error) {
	if in.file == nil {
		return false, nil
	}
	own, err := in.file.Stat()
	return err == nil && os.SameFile(own, info), err
}
