package input

import (
	"fmt"
	"io"

	"github.com/cozeq/cozeq/tasks"
)

// pieceRows yields the row that parse fills from each line that is not blank, or from each item of an array.
func (in *Input) pieceRows(content io.Reader, yield func(*Row, error) bool, parse func(piece []byte, row *Row) []string) {
	n := 0
	for piece, err := range in.eachPiece(content, maxLine) {
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
		if what := in.wrongText(piece.Text, ""); what != "" {
			wrong = []string{what}
		} else if wrong = parse(piece.Text, row); len(wrong)+len(row.unsupported) == 0 {
			wrong = in.finish(row)
		}
		if !in.deliver(row, wrong, yield) {
			return
		}
	}
}

// deliver yields the row, or its errors.
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

// itemName names an item of an array, as all of them may be on one line; "" for a line.
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
			if what := in.prompt.missing([]string{FieldQuestion}); what != "" {
				return []string{what + " in a .txt"}
			}
			var err error
			if question, err = in.prompt.fill(map[string]any{FieldQuestion: question}); err != nil {
				return []string{err.Error()}
			}
		}
		row.question = &question
		return nil
	})
}
