package sheet

import (
	"archive/zip"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"
)

// inMemory is how much XML of a sheet, and of the texts that sheets share, excelize holds in memory. What is more goes
// to a temporary file of its own.
const inMemory = 1 << 20

// What a spreadsheet shows by the locale of its user is shown here as it is in China: dates as 2024-01-15.
var shown = excelize.Options{
	UnzipSizeLimit:    maxUnpacked,
	UnzipXMLSizeLimit: inMemory,
	ShortDatePattern:  "yyyy-mm-dd",
	LongDatePattern:   "yyyy-mm-dd",
	LongTimePattern:   "hh:mm:ss",
	CultureInfo:       excelize.CultureNameZhCN,
}

// Unpack writes the rows of the sheet of that name to a temporary file. A sheet that cannot be read to its end is a
// *DamagedError. The caller closes the Table.
func (b *Book) Unpack(ctx context.Context, name string) (t *Table, err error) {
	archive, err := openArchive(b.path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	for _, part := range []string{"xl/sharedstrings.xml", "xl/styles.xml"} {
		if err := whole(&archive.Reader, part); err != nil {
			return nil, err
		}
	}
	i := 0
	for i < len(b.sheets)-1 && b.sheets[i].name != name {
		i++
	}
	stored, err := openPart(&archive.Reader, b.sheets[i].file)
	if err != nil {
		return nil, err
	}
	defer stored.Close()

	book, err := excelize.OpenFile(b.path, shown)
	if err != nil {
		return nil, damaged(0, "%v", err)
	}
	defer book.Close()
	seen, err := book.Rows(b.sheets[i].name)
	if err != nil {
		return nil, damaged(0, "%v", err)
	}
	defer seen.Close()

	if t, err = newTable(); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", b.path, err)
	}
	u := &unpacking{scan: newScan(stored), seen: seen, out: bufio.NewWriterSize(t.file, 256<<10)}
	if err = u.rows(ctx); err == nil {
		err = u.out.Flush()
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	t.merges = u.scan.merges
	slices.SortFunc(t.merges, func(a, b Range) int { return a.Top - b.Top })
	return t, nil
}

// whole reads a part to its end, if there is one of that name, as excelize would not say that it is damaged.
func whole(archive *zip.Reader, name string) error {
	for _, f := range archive.File {
		if partName(f.Name) != name {
			continue
		}
		r, err := f.Open()
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			err = errors.Join(err, r.Close())
		}
		if err != nil {
			return damaged(0, "%s in it is damaged: %v", f.Name, err)
		}
	}
	return nil
}

// unpacking goes through a sheet twice at a time: as it is stored, and as it is seen.
type unpacking struct {
	scan *scan
	seen *excelize.Rows
	at   int // the row of seen
	out  *bufio.Writer
}

func (u *unpacking) rows(ctx context.Context) error {
	lines := json.NewEncoder(u.out)
	lines.SetEscapeHTML(false)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		cells, err := u.scan.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		texts, err := u.texts(u.scan.row)
		if err != nil {
			return err
		}
		row := packed{Number: u.scan.row, Cells: texts}
		marks := []byte(strings.Repeat(string(rune(Text)), len(texts)))
		for _, c := range cells {
			if c.column <= len(texts) { // else it is empty
				marks[c.column-1] = byte(markOf(c, &row.Cells[c.column-1]))
			}
		}
		if strings.Trim(string(marks), string(rune(Text))) != "" {
			row.Marks = string(marks)
		}
		if err := lines.Encode(&row); err != nil {
			return fmt.Errorf("unpack the sheet: %w", err)
		}
	}
}

// texts is what a row shows.
func (u *unpacking) texts(row int) ([]string, error) {
	for u.at < row {
		if !u.seen.Next() {
			return nil, damaged(row, "the sheet ends here for its reader: %v", u.seen.Error())
		}
		u.at++
		texts, err := u.seen.Columns(shown)
		if err != nil {
			return nil, damaged(row, "%v", err)
		}
		if u.at == row {
			return texts, nil
		}
	}
	return nil, damaged(row, "the row is there twice")
}

// markOf tells what a cell is, and mends what it shows.
func markOf(c scanned, text *string) (m Mark) {
	switch {
	case c.kind == "e":
		return Fault
	case c.formula && c.value == "" && !c.inline && *text == "":
		return Unreckoned
	case c.kind != "" && c.kind != "n":
		return Text
	}
	*text, m = number(c.value, *text)
	return m
}
