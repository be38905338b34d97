package batch

import (
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/cozeq/cozeq/tasks"
)

// lineRows yields what parse makes of each line that is not blank.
func (in *Input) lineRows(content io.Reader, yield func(*Row, error) bool, parse func(line []byte, row *Row) []string) {
	lines := newLineReader(content, maxLine)
	n := 0
	for {
		line, err := lines.read()
		switch {
		case err == io.EOF:
			return
		case err == errLineTooLong:
			n++
			if !yield(nil, in.problem(lines.n, "%v", err)) {
				return
			}
			continue
		case err != nil:
			yield(nil, fmt.Errorf("read %s: %w", in.name, err))
			return
		case blank(string(line)):
			continue
		}
		n++
		row := &Row{N: n, Line: lines.n, Chat: new(tasks.Chat)}
		wrong := []string{notUTF8}
		if utf8.Valid(line) {
			if wrong = parse(line, row); len(wrong) == 0 {
				wrong = in.finish(row)
			}
		}
		if !in.deliver(row, wrong, yield) {
			return
		}
	}
}

const notUTF8 = "not UTF-8: save the file as UTF-8"

// deliver yields the row, or what is wrong with it.
func (in *Input) deliver(row *Row, wrong []string, yield func(*Row, error) bool) bool {
	for _, what := range wrong {
		if !yield(nil, in.problem(row.Line, "%s", what)) {
			return false
		}
	}
	return len(wrong) > 0 || yield(row, nil)
}

func (in *Input) txtRows(content io.Reader, yield func(*Row, error) bool) {
	in.lineRows(content, yield, func(line []byte, row *Row) []string {
		row.Chat.AdditionalMessages = []tasks.Message{tasks.Question(string(line))}
		return nil
	})
}
