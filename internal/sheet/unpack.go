package sheet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
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
	shared, err := readTexts(&archive.Reader, b.strings)
	if err != nil {
		return nil, err
	}
	styles, err := readStyles(&archive.Reader, b.styles)
	if err != nil {
		return nil, err
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

	path, remove, err := b.arranged(&archive.Reader, b.sheets[i].file)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", b.path, err)
	}
	book, err := excelize.OpenFile(path, shown)
	if err != nil {
		return nil, errors.Join(damaged(0, "%v", err), remove())
	}
	defer book.Close()
	if err := remove(); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", b.path, err)
	}
	seen, err := book.Rows(b.sheets[i].name)
	if err != nil {
		return nil, damaged(0, "%v", err)
	}
	defer seen.Close()

	if t, err = newTable(); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", b.path, err)
	}
	u := &unpacking{scan: newScan(stored), shared: shared, styles: styles, seen: seen, out: bufio.NewWriterSize(t.file, 256<<10)}
	if b.mac {
		u.epoch = &epoch{styles: styles}
	}
	if err = errors.Join(u.rows(ctx), u.epoch.close()); err == nil {
		err = u.out.Flush()
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	t.merges = u.scan.merges
	slices.SortFunc(t.merges, func(a, b Range) int { return a.Top - b.Top })
	return t, nil
}

// unpacking goes through a sheet twice at a time: as it is stored, and as it is seen.
type unpacking struct {
	scan   *scan
	shared *texts
	styles *styles
	epoch  *epoch // nil: the days count from 1900
	seen   *excelize.Rows
	at     int // the row of seen
	out    *bufio.Writer
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
			text := ""
			if c.column <= len(texts) {
				text = texts[c.column-1]
			}
			mark := u.mark(c, &text)
			if text == "" && c.column > len(row.Cells) {
				continue
			}
			for len(row.Cells) < c.column {
				row.Cells, marks = append(row.Cells, ""), append(marks, byte(Text))
			}
			row.Cells[c.column-1], marks[c.column-1] = text, byte(mark)
		}
		if strings.Trim(string(marks), string(rune(Text))) != "" {
			row.Marks = string(marks)
		}
		if err := lines.Encode(&row); err != nil {
			return fmt.Errorf("unpack the sheet: %w", err)
		}
	}
}

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
	return nil, damaged(row, "the row is repeated")
}

// mark tells what a cell is, and corrects what it shows. What is stored is compared with what the library has read, as
// that has "" for what it cannot read, the first shared string for an index that is no number, and a date as a number.
func (u *unpacking) mark(c scanned, text *string) (m Mark) {
	wrong := ""
	switch c.kind {
	case "e":
		return Fault
	case "s":
		wrong = u.wrongShared(c, *text)
	case "str":
		if strings.TrimSpace(*text) != c.value {
			wrong = "its text cannot be read"
		}
		*text = unescape(*text)
	case "inlineStr":
		if stored := c.inline; stored != nil && *stored != *text && !u.styles.changeTexts(c.style) {
			wrong = "its text cannot be read"
		}
	case "b":
	case "", "n", "d":
		wrong = u.wrongNumber(c, text)
	default:
		wrong = fmt.Sprintf("its type %.20q is unknown", c.kind)
	}
	if wrong == "" && c.kind != "s" && c.value != "" && *text == "" && !u.styles.hideNumbers(c.style) {
		wrong = "its value cannot be read"
	}
	switch {
	case wrong != "":
		*text = wrong
		return Damaged
	case c.formula && c.value == "" && c.inline == nil && *text == "":
		return Unreckoned
	case c.kind != "" && c.kind != "n":
		return Text
	}
	*text, m = number(c.value, *text)
	return m
}

// wrongNumber tells why a number or a date cannot be shown; "" = it can. It corrects what a date shows.
func (u *unpacking) wrongNumber(c scanned, text *string) string {
	if c.value == "" {
		return ""
	}
	wrong := u.styles.wrong(c.style)
	if wrong == "" && u.epoch != nil {
		right, ok, err := u.epoch.corrected(c.value, c.style)
		if err != nil {
			return "its date cannot be shown: " + err.Error()
		}
		if ok {
			*text = right
		}
	}
	return wrong
}

// wrongShared tells why a cell that refers to a shared string cannot be read; "" = it can.
func (u *unpacking) wrongShared(c scanned, text string) string {
	if c.value == "" {
		return ""
	}
	i, err := strconv.Atoi(c.value)
	switch {
	case err != nil || i < 0 || i >= len(u.shared.sums):
		return fmt.Sprintf("it refers to the shared string %.20q, and the file has %d", c.value, len(u.shared.sums))
	case u.shared.sums[i] != u.shared.sum(text) && !u.styles.changeTexts(c.style):
		return "its text cannot be read"
	}
	return ""
}
