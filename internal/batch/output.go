package batch

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cozeq/cozeq/internal/charset"
	"github.com/cozeq/cozeq/internal/sheet"
)

// temporarySuffix marks a file that is not put into place yet. What a killed run leaves is overwritten by the next.
const temporarySuffix = ".tmp"

// writeOutput makes OUTPUT of the journal.
func (r *run) writeOutput(ctx context.Context) error {
	err := putInPlace(r.Output, r.compressed,
		func(w io.Writer) error { return r.writeFormat(ctx, w) },
		func(name string) error { return r.verifyOutput(ctx, name) })
	if err != nil {
		return fmt.Errorf("write %s: %w", r.Output, r.elsewhere(err))
	}
	return nil
}

// putInPlace makes the file at path of what write writes: beside its place, and then moved there as a whole, if check
// finds nothing wrong with it.
func putInPlace(path string, compressed bool, write func(io.Writer) error, check func(name string) error) error {
	name := path + temporarySuffix
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(f, 256<<10)
	if compressed {
		packed := gzip.NewWriter(buffered)
		if err = write(packed); err == nil {
			err = packed.Close()
		}
	} else {
		err = write(buffered)
	}
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = check(name)
	}
	if err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	// The new name, too, must be on the disk before the journal goes. Not every system can do that.
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}

// elsewhere adds to the error of a text that a sheet does not take how to get the answers nevertheless: they are paid.
func (r *run) elsewhere(err error) error {
	if _, ok := errors.AsType[*sheet.TooLongError](err); !ok {
		return err
	}
	other := strings.TrimSuffix(r.Output, filepath.Ext(r.Output)) + "." + string(JSONL)
	return fmt.Errorf("%w: rename %s to %s and give the same command with -o %s, which asks nothing again", err,
		r.Output+journalSuffix, other+journalSuffix, other)
}

// writeFormat writes all records in OUTPUT's format.
func (r *run) writeFormat(ctx context.Context, w io.Writer) error {
	if r.format.objects() {
		return r.writeLines(ctx, w)
	}
	c, err := r.Input.outputColumns(ctx)
	if err != nil {
		return err
	}
	t, err := newTable(r.format, w, c, r.Input.separator(r.format), r.Input.spreadsheets())
	if err != nil {
		return err
	}
	if err := r.writeRows(ctx, t); err != nil {
		return errors.Join(err, t.discard())
	}
	return t.close()
}

// newTable begins a table; a csv or tsv has its cells separated by comma, and marked puts the mark of UTF-8 before it.
func newTable(f Format, w io.Writer, c *columns, comma rune, marked bool) (tableWriter, error) {
	if f == XLSX {
		return newSheetWriter(w, c)
	}
	return newCSVWriter(w, c, comma, marked)
}

// separator is what stands between the cells of an OUTPUT. Whoever has a table with semicolons has a spreadsheet that
// wants them.
func (in *Input) separator(output Format) rune {
	if output == CSV && in.format == CSV {
		return in.reading.delimiter(CSV)
	}
	return output.delimiter()
}

// spreadsheets reports whether the input was made by a spreadsheet, which takes UTF-8 without its mark for something
// else and shows no Chinese.
func (in *Input) spreadsheets() bool {
	return in.format == XLSX || in.format.table() && (in.mark > 0 || in.reading.encoding() != charset.UTF8)
}

// writeRows writes the rows of a table, in the order of the input.
func (r *run) writeRows(ctx context.Context, t tableWriter) error {
	records := r.journal.reader()
	for row, err := range r.Input.Rows() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		res, err := records.result(row.N)
		if err != nil {
			return err
		}
		if res == nil {
			return fmt.Errorf("row %d has no record", row.N)
		}
		if err := t.write(row, res); err != nil {
			return err
		}
	}
	return nil
}

// writeLines copies the records, in the order of the input.
func (r *run) writeLines(ctx context.Context, w io.Writer) error {
	records, out := r.journal.reader(), &recordLines{w: w, array: r.format == JSON}
	for row := 1; row <= r.total; row++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := records.line(row)
		if err != nil {
			return err
		}
		if err := out.write(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return err
		}
	}
	return out.close()
}
