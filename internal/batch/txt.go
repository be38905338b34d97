package batch

import (
	"errors"
	"fmt"
	"io"

	"github.com/cozeq/cozeq/tasks"
)

// pieceRows yields what parse makes of each line that is not blank, or of each item of an array.
func (in *Input) pieceRows(content io.Reader, yield func(*Row, error) bool, parse func(piece []byte, row *Row) []string) {
	pieces := in.pieces(content, maxLine)
	n := 0
	for {
		piece, err := pieces.read()
		line, item := pieces.place()
		_, damaged := errors.AsType[*damagedError](err)
		_, broken := errors.AsType[*arrayError](err)
		switch {
		case err == io.EOF:
			return
		case damaged && item == 0:
			yield(nil, in.problem(line+1, "%v", err))
			return
		case damaged, broken:
			yield(nil, in.problem(line, "%s%v", itemName(item), err))
			return
		case err == errLineTooLong:
			n++
			if !yield(nil, in.problem(line, "%v", err)) {
				return
			}
			continue
		case err != nil:
			yield(nil, fmt.Errorf("read %s: %w", in.name, err))
			return
		case blank(string(piece)) && item == 0:
			continue
		}
		n++
		row := &Row{N: n, Line: line, item: item, Chat: new(tasks.Chat)}
		var wrong []string
		if what := in.wrongText(piece, ""); what != "" {
			wrong = []string{what}
		} else if wrong = parse(piece, row); len(wrong)+len(row.unsupported) == 0 {
			wrong = in.finish(row)
		}
		if !in.deliver(row, wrong, yield) {
			return
		}
	}
}

// deliver yields the row, or what is wrong with it.
func (in *Input) deliver(row *Row, wrong []string, yield func(*Row, error) bool) bool {
	for _, what := range wrong {
		problem := in.problem(row.Line, "%s%s", itemName(row.item), what)
		problem.customID = row.CustomID
		if !yield(nil, problem) {
			return false
		}
	}
	for _, field := range row.unsupported {
		p := in.problem(row.Line, "%s%s", itemName(row.item), cannotBeAsked(field, 1))
		p.field, p.customID = field, row.CustomID
		if !yield(nil, p) {
			return false
		}
	}
	return len(wrong)+len(row.unsupported) > 0 || yield(row, nil)
}

// itemName says which item of an array it is, as all of them may stand on one line; "" = it is none.
func itemName(item int) string {
	if item == 0 {
		return ""
	}
	return fmt.Sprintf("item %d: ", item)
}

func (in *Input) txtRows(content io.Reader, yield func(*Row, error) bool) {
	in.pieceRows(content, yield, func(line []byte, row *Row) []string {
		question := string(line)
		if in.prompt != nil {
			if what := in.prompt.missing([]string{fieldQuestion}); what != "" {
				return []string{what + " in a .txt"}
			}
			var err error
			if question, err = in.prompt.fill(map[string]any{fieldQuestion: question}); err != nil {
				return []string{err.Error()}
			}
		}
		row.question = &question
		return nil
	})
}
