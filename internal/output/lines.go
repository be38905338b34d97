package output

import (
	"io"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

// Lines writes records as lines of JSON, or as the items of an array, one a line.
type Lines struct {
	W     io.Writer
	Array bool
	n     int
}

func (l *Lines) Write(row *input.Row, res *results.Result) error {
	record, err := EncodeRecord(res, row)
	if err != nil {
		return err
	}
	return l.WriteRecord(record)
}

// WriteRecord writes a record that is JSON already, without a line end.
func (l *Lines) WriteRecord(record []byte) error {
	before, after := "", "\n"
	switch {
	case l.Array && l.n == 0:
		before, after = "[\n", ""
	case l.Array:
		before, after = ",\n", ""
	}
	l.n++
	if _, err := io.WriteString(l.W, before); err != nil {
		return err
	}
	if _, err := l.W.Write(record); err != nil {
		return err
	}
	_, err := io.WriteString(l.W, after)
	return err
}

// Close ends the array.
func (l *Lines) Close() error {
	if !l.Array {
		return nil
	}
	end := "\n]\n"
	if l.n == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(l.W, end)
	return err
}

// Discard does nothing: there is nothing to clean up.
func (l *Lines) Discard() error { return nil }
