package batch

import "io"

// recordLines writes records as lines, or as the items of an array, one a line.
type recordLines struct {
	w     io.Writer
	array bool
	n     int
}

// write takes a record without its end of a line.
func (l *recordLines) write(record []byte) error {
	before, after := "", "\n"
	switch {
	case l.array && l.n == 0:
		before, after = "[\n", ""
	case l.array:
		before, after = ",\n", ""
	}
	l.n++
	if _, err := io.WriteString(l.w, before); err != nil {
		return err
	}
	if _, err := l.w.Write(record); err != nil {
		return err
	}
	_, err := io.WriteString(l.w, after)
	return err
}

func (l *recordLines) close() error {
	if !l.array {
		return nil
	}
	end := "\n]\n"
	if l.n == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(l.w, end)
	return err
}
