package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/cozeq/cozeq/tasks"
)

// reader makes rows of a file's content. It may be read from several places at a time.
type reader struct {
	file    *file
	format  Format
	decoder decoder
	array   bool  // a json is one array of objects, not an object a line
	book    *book // of an .xlsx
	names   *names
	options *Options
}

func (r *reader) rows(ctx context.Context, content io.Reader) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		switch {
		case r.format.table():
			r.tableRows(ctx, content, yield)
		case r.format == TXT:
			r.pieceRows(content, yield, r.names.parseLine)
		default:
			objects := objects{r.format, r.names, openAI{r.names, r.options.System, r.options.Unsupported}, r.options.Requests}
			r.pieceRows(content, yield, objects.parse)
		}
	}
}

// pieceRows yields the row that parse fills from each line that is not blank, or from each item of an array.
func (r *reader) pieceRows(content io.Reader, yield func(*Row, error) bool, parse func(piece []byte, row *Row) []string) {
	n := 0
	for piece, err := range r.pieces(content, maxLine) {
		if err != nil {
			n++
			if !yield(nil, err) {
				return
			}
			continue
		}
		if Blank(string(piece.Text)) && piece.Item == 0 {
			continue
		}
		n++
		row := &Row{N: n, Line: piece.Line, item: piece.Item, Chat: new(tasks.Chat)}
		var wrong []string
		if what := r.decoder.wrongText(piece.Text, ""); what != "" {
			wrong = []string{what}
		} else if wrong = parse(piece.Text, row); len(wrong)+len(row.unsupported) == 0 {
			wrong = r.complete(row)
		}
		if !r.deliver(row, wrong, yield) {
			return
		}
	}
}

// pieces yields the pieces of content. One that is too long is a *Problem, and the sequence continues.
func (r *reader) pieces(content io.Reader, max int) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		for pieces := newPieceReader(r.decoder.text(content), r.array, max); ; {
			text, err := pieces.read()
			line, item := pieces.place()
			_, damaged := errors.AsType[*damagedError](err)
			_, broken := errors.AsType[*arrayError](err)
			switch {
			case err == nil:
				if !yield(Piece{line, item, text}, nil) {
					return
				}
				continue
			case err == errLineTooLong:
				if !yield(Piece{}, r.file.problem(line, "%v", err)) {
					return
				}
				continue
			case err == io.EOF:
			case damaged && item == 0:
				yield(Piece{}, r.file.problem(line+1, "%v", err))
			case damaged, broken:
				yield(Piece{}, r.file.problem(line, "%s%v", itemName(item), err))
			default:
				yield(Piece{}, r.file.readError(err))
			}
			return
		}
	}
}

func (r *reader) tableRows(ctx context.Context, content io.Reader, yield func(*Row, error) bool) {
	cells, err := r.cells(ctx, content)
	if err != nil {
		yield(nil, err)
		return
	}
	t := r.table()
	h, err := t.header(cells)
	if err != nil {
		if err != io.EOF {
			yield(nil, r.file.tableError(1, err))
		}
		return
	}
	line := h.line
	for n := 1; ; n++ {
		read, err := cells.read()
		if err == io.EOF {
			return
		}
		if err != nil {
			err = r.file.tableError(line, err)
			if !yield(nil, err) {
				return
			}
			if problem, ok := errors.AsType[*Problem](err); !ok || problem.ends {
				return
			}
			continue
		}
		line = read.Line
		row := &Row{N: n, Line: read.Line, Chat: new(tasks.Chat), Columns: read.Cells, marks: read.marks, table: h, standIn: h.standIn}
		wrong := t.parse(row)
		if len(wrong) == 0 {
			wrong = r.complete(row)
		}
		if !r.deliver(row, wrong, yield) {
			return
		}
	}
}

func (r *reader) table() *table { return &table{r.file, r.format, &r.decoder, r.names} }

func (r *reader) header(ctx context.Context) (*header, error) {
	cells, err := r.cells(ctx, r.file.content())
	if err != nil {
		return nil, err
	}
	h, err := r.table().header(cells)
	if err != nil {
		return nil, r.file.readError(err)
	}
	return h, nil
}

func (r *reader) cells(ctx context.Context, content io.Reader) (cellReader, error) {
	if r.format == XLSX {
		return r.book.cells(ctx)
	}
	return newCSVReader(r.decoder.text(content), r.decoder.delimiter(r.format)), nil
}

func (r *reader) deliver(row *Row, wrong []string, yield func(*Row, error) bool) bool {
	problem := func(field, what string) *Problem {
		p := r.file.problem(row.Line, "%s%s", itemName(row.item), what)
		p.field, p.customID = field, row.CustomID
		return p
	}
	for _, what := range wrong {
		if !yield(nil, problem("", what)) {
			return false
		}
	}
	for _, field := range row.unsupported {
		if !yield(nil, problem(field, cannotBeAsked(field, 1))) {
			return false
		}
	}
	return len(wrong)+len(row.unsupported) > 0 || yield(row, nil)
}

// itemName names an item of an array, as all of them may be on one line; "" for a line.
func itemName(item int) string {
	if item == 0 {
		return ""
	}
	return fmt.Sprintf("item %d: ", item)
}
