package input

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/cozeq/cozeq/internal/spreadsheet"
	"github.com/cozeq/cozeq/internal/usage"
)

type book struct {
	file  *file
	sheet string
	book  *spreadsheet.Book

	unpack sync.Mutex         // guards table
	table  *spreadsheet.Table // its rows, once they are needed
}

// openBook finds the sheet that is wanted, by default the first.
func openBook(f *file, head []byte, want string) (b *book, found findings, err error) {
	if bytes.HasPrefix(head, magicOLE) {
		return nil, nil, &usage.Error{What: f.name + " is an .xls, or an .xlsx with a password", Hint: "save it as .xlsx without one"}
	}
	opened, err := spreadsheet.Open(f.disk.Name())
	if bad, ok := errors.AsType[*spreadsheet.DamagedError](err); ok {
		return nil, nil, &InvalidInput{Problems: []*Problem{f.problem(bad.Row, "%s", bad.What)}, Total: 1}
	}
	if err != nil {
		return nil, nil, err
	}
	b = &book{file: f, book: opened, sheet: opened.First()}
	sheets := opened.Sheets()
	switch {
	case want != "":
		if b.sheet = opened.Find(want); b.sheet == "" {
			hint := "its sheets are " + quoted(sheets)
			if near := usage.Nearest(want, sheets); near != "" {
				hint += fmt.Sprintf("; did you mean --sheet %q?", near)
			}
			return nil, nil, &usage.Error{What: fmt.Sprintf("%s has no sheet %q", f.name, want), Hint: hint}
		}
	case len(sheets) > 1:
		found.add("sheet %q, one of %d (--sheet names another)", b.sheet, len(sheets))
	}
	return b, found, nil
}

// cells reads the sheet from its beginning. It is unpacked at the first call.
func (b *book) cells(ctx context.Context) (cellReader, error) {
	b.unpack.Lock()
	defer b.unpack.Unlock()
	if b.table != nil {
		return sheetReader{b.table.Rows()}, nil
	}
	blocks := new(blockWriter)
	if _, err := io.Copy(blocks, cancelable{ctx, b.file.content()}); err != nil {
		return nil, b.file.readError(err)
	}
	table, err := b.book.Unpack(ctx, b.sheet)
	if bad, ok := errors.AsType[*spreadsheet.DamagedError](err); ok {
		return nil, b.file.problem(bad.Row, "%s", bad.What)
	}
	if err != nil {
		return nil, b.file.readError(err)
	}
	b.table, b.file.checked = table, blocks.blocks()
	if err := b.same(); err != nil {
		return nil, b.file.readError(err)
	}
	b.file.forget()
	return sheetReader{b.table.Rows()}, nil
}

// same checks that the unpacked rows are those of the content: a workbook is opened by its name, and a spreadsheet that
// saves it puts another file under that name.
func (b *book) same() error {
	f, err := os.Open(b.file.disk.Name())
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, b.file.checked.read(f))
	return errors.Join(err, f.Close())
}

func (b *book) close() (err error) {
	if b != nil && b.table != nil {
		err, b.table = b.table.Close(), nil
	}
	return err
}

type sheetReader struct{ rows *spreadsheet.Reader }

func (s sheetReader) read() (cellRow, error) {
	for {
		row, err := s.rows.Read()
		if err != nil {
			return cellRow{}, err
		}
		if !blankCells(row.Cells) {
			return cellRow{Line: row.Number, Cells: row.Cells, marks: row.Marks}, nil
		}
	}
}
