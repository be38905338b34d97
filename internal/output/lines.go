package output

import "io"

// recordLines writes records as lines, or as the items of an array, one a line.
type RecordLines struct {
	W     io.Writer
	Array bool
	n     int
}

// write takes a record without its end of a line.
func (l *RecordLines) Write(record []byte) error {
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

func (l *RecordLines) Close() error {
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
