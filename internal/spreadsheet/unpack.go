package spreadsheet

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Unpack writes the rows of the sheet of that name to a temporary file. A sheet that cannot be read to its end is a
// *DamagedError. The caller closes the Table.
func (b *Book) Unpack(ctx context.Context, name string) (t *Table, err error) {
	archive, err := openArchive(b.path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	i := max(0, slices.IndexFunc(b.sheets, func(p part) bool { return p.name == name }))
	stored, err := openPart(&archive.Reader, b.sheets[i].file)
	if err != nil {
		return nil, err
	}
	defer stored.Close()
	shared, err := readTexts(&archive.Reader, b.strings)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", b.path, err)
	}
	defer shared.close()
	styles, part, err := readStyles(&archive.Reader, b.styles)
	if err != nil {
		return nil, err
	}
	shows, err := newFormatter(styles, part, b.mac)
	if err != nil {
		return nil, err
	}
	defer shows.close()

	file, err := newTempFile()
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", b.path, err)
	}
	u := &unpacking{scan: newScan(stored), shared: shared, shows: shows, out: bufio.NewWriterSize(file, 256<<10)}
	if err = u.rows(ctx); err == nil {
		err = u.out.Flush()
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	slices.SortFunc(u.scan.merges, func(a, b Range) int { return a.Top - b.Top })
	return &Table{file, u.scan.merges}, nil
}

type unpacking struct {
	scan   *scan
	shared *texts
	shows  *formatter
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
		row := packed{Number: u.scan.row}
		var marks []byte
		for _, c := range cells {
			text, mark, err := u.cell(c)
			if err != nil {
				return fmt.Errorf("unpack the sheet: %w", err)
			}
			if text == "" && mark == Text {
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

// cell is what a cell shows, and what it is.
func (u *unpacking) cell(c scanned) (text string, m Mark, err error) {
	value := strings.TrimSpace(c.value)
	wrong := ""
	switch c.kind {
	case "e":
		return value, Fault, nil
	case "s":
		if value != "" {
			text, wrong, err = u.sharedText(value)
		}
	case "str":
		text = unescape(c.value)
	case "inlineStr":
		text = c.inline
	case "b":
		text = cmp.Or(map[string]string{"0": "FALSE", "1": "TRUE"}[value], value)
	case "", "n", "d":
		if value == "" {
			break
		}
		if wrong = u.shows.wrong(c.style); wrong != "" {
			break
		}
		show := u.shows.number
		if c.kind == "d" {
			show = u.shows.date
		}
		text, err = show(value, c.style)
	default:
		wrong = fmt.Sprintf("its type %.20q is unknown", c.kind)
	}
	if wrong == "" && c.kind != "s" && value != "" && text == "" && !u.shows.hideNumbers(c.style) {
		wrong = "its value cannot be read"
	}
	switch {
	case err != nil || wrong != "":
		return wrong, Damaged, err
	case c.formula && value == "" && text == "":
		return "", Unreckoned, nil
	case c.kind == "" || c.kind == "n":
		text, m = number(value, text)
		return text, m, nil
	case c.kind != "d":
		text, err = u.shows.text(text, c.style)
	}
	return text, Text, err
}

// sharedText is the text that a cell refers to, or what is wrong with that.
func (u *unpacking) sharedText(index string) (text, wrong string, err error) {
	i, err := strconv.Atoi(index)
	if err != nil || i < 0 || i >= len(u.shared.ends) {
		return "", fmt.Sprintf("it refers to the shared string %.20q, and the file has %d", index, len(u.shared.ends)), nil
	}
	text, err = u.shared.at(i)
	return text, "", err
}
