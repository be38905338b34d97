package sink

import (
	"bytes"
	"context"
	"io"
)

// Lines is a writer of lines of JSON: each is a record, whose row is its number, from 1.
func (s *Sink) Lines(ctx context.Context) io.Writer { return &lines{ctx: ctx, sink: s} }

type lines struct {
	ctx  context.Context
	sink *Sink
	row  int
	rest []byte // of a line that has not ended
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, ended := bytes.Cut(l.rest, []byte("\n"))
		if !ended {
			l.rest = bytes.Clone(l.rest) // the lines before it belong to the sink
			return len(p), nil
		}
		l.row++
		l.rest = rest
		if err := l.sink.Send(l.ctx, Record{Row: l.row, Line: line}); err != nil {
			return 0, err
		}
	}
}
