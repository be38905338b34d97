package batch

import (
	"errors"
	"fmt"
	"io"

	"github.com/cozeq/cozeq/tasks"
)

// lineRows yields what parse makes of each line that is not blank.
func (in *Input) lineRows(content io.Reader, yield func(*Row, error) bool, parse func(line []byte, row *Row) []string) {
	lines := newLineReader(in.text(content), maxLine)
	n := 0
	for {
		line, err := lines.read()
		_, damaged := errors.AsType[*damagedError](err)
		switch {
		case err == io.EOF:
			return
		case damaged:
			yield(nil, in.problem(lines.n+1, "%v", err))
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
		var wrong []string
		if what := in.wrongText(line, ""); what != "" {
			wrong = []string{what}
		} else if wrong = parse(line, row); len(wrong) == 0 {
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
		if !yield(nil, in.problem(row.Line, "%s", what)) {
			return false
		}
	}
	return len(wrong) > 0 || yield(row, nil)
}

func (in *Input) txtRows(content io.Reader, yield func(*Row, error) bool) {
	in.lineRows(content, yield, func(line []byte, row *Row) []string {
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
