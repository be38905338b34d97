package batch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// temporarySuffix marks a file that is not put into place yet. What a killed run leaves is overwritten by the next.
const temporarySuffix = ".tmp"

// writeOutput makes OUTPUT of the journal: beside its place, and then moved there as a whole.
func (r *run) writeOutput(ctx context.Context) error {
	name := r.Output + temporarySuffix
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(f, 256<<10)
	if r.format == JSONL {
		err = r.writeLines(ctx, buffered)
	} else {
		err = r.writeTable(ctx, buffered)
	}
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(name, r.Output)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", r.Output, err), os.Remove(name))
	}
	// The new name, too, must be on the disk before the journal goes. Not every system can do that.
	if dir, err := os.Open(filepath.Dir(r.Output)); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}

// writeLines copies the records, in the order of the input.
func (r *run) writeLines(ctx context.Context, w io.Writer) error {
	records := r.journal.reader()
	for row := 1; row <= r.total; row++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := records.line(row)
		if err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}
