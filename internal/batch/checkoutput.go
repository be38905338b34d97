package batch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cozeq/cozeq/internal/sheet"
)

// CheckOutput finds out whether an OUTPUT can be written to path, as far as that can be told without its input: its
// format, and that there is a directory. What cannot be is a *UsageError, or the system's.
func CheckOutput(path string) error {
	if path == "-" {
		return &UsageError{What: "-o -: stdout is no file", Hint: "leave -o out, then the records go to stdout"}
	}
	if _, _, err := outputFormat(path); err != nil {
		return err
	}
	if dir, err := os.Stat(filepath.Dir(path)); err != nil || !dir.IsDir() {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = &fs.PathError{Op: "write", Path: path, Err: syscall.ENOENT}
		}
		return err
	}
	output, err := os.Stat(path)
	if err == nil && !output.Mode().IsRegular() {
		return &UsageError{What: path + " is not a file", Hint: "write to another one"}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// CheckOutput finds out, before anything is asked, whether the answers can be written to path: as the function does, and
// an *InvalidInput if it is texts of the input that do not go into an xlsx.
func (in *Input) CheckOutput(ctx context.Context, path string) error {
	if err := CheckOutput(path); err != nil {
		return err
	}
	if output, err := os.Stat(path); err == nil && in.file != nil {
		input, err := in.file.Stat()
		if err != nil {
			return err
		}
		if os.SameFile(input, output) {
			return &UsageError{What: path + " is the input", Hint: "write to another file"}
		}
	}
	if format, _, err := outputFormat(path); err != nil || format != XLSX || in.fits {
		return err
	}
	return in.checkSheet(ctx)
}

// checkSheet finds what an xlsx has no place for.
func (in *Input) checkSheet(ctx context.Context) error {
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
