package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/cozeq/cozeq/internal/charset"
	"github.com/cozeq/cozeq/internal/sheet"
	"github.com/cozeq/cozeq/internal/usage"
)

// The first bytes of files.
var (
	magicGzip = []byte("\x1f\x8b")
	magicZip  = []byte("PK\x03\x04")
	magicOLE  = []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
)

// sniff detects from the file's beginning how to read it, in bounded memory. promised means that its name ends in .gz.
func (in *Input) sniff(promised bool) error {
	head := make([]byte, len(magicOLE))
	n, err := in.data.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read %s: %w", in.name, err)
	}
	head = head[:n]
	if in.format == XLSX {
		return in.sniffBook(head)
	}
	in.reading.Compressed = bytes.HasPrefix(head, magicGzip)
	switch {
	case promised && !in.reading.Compressed:
		return &usage.Error{What: in.name + " is not compressed with gzip", Hint: "take .gz off its name, or say what it is with --format"}
	case bytes.HasPrefix(head, magicZip):
		return &usage.Error{What: fmt.Sprintf("%s is a zip archive, as an .xlsx is, and no .%s", in.name, in.format), Hint: "if it is an .xlsx, say --format xlsx"}
	case bytes.HasPrefix(head, magicOLE):
		return &usage.Error{What: in.name + " is an .xls", Hint: "save it as .xlsx"}
	case in.reading.Compressed && !promised:
		in.found.add("compressed with gzip")
	}
	if err := in.sniffEncoding(); err != nil {
		return err
	}
	return in.sniffText()
}

// sniffEncoding detects the encoding.
func (in *Input) sniffEncoding() error {
	if in.options.Encoding == "" {
		found, err := charset.Sniff(undamaged{in.unpacked(in.content())})
		if err != nil {
			return fmt.Errorf("read %s: %w", in.name, err)
		}
		in.reading.setEncoding(found.Encoding)
		in.mark = found.Mark
		if found.Encoding != charset.UTF8 {
			in.found.add("%s", found.Encoding)
		}
		return nil
	}
	said, err := charset.Parse(in.options.Encoding)
	if err != nil {
		return err
	}
	head := make([]byte, 4)
	n, err := io.ReadFull(undamaged{in.unpacked(in.content())}, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("read %s: %w", in.name, err)
	}
	marked, length := charset.Mark(head[:n])
	if length > 0 && marked != said {
		return &usage.Error{
			What: fmt.Sprintf("%s begins with the mark of %s, and --encoding says %s", in.name, marked, said),
			Hint: "leave --encoding out",
		}
	}
	in.mark = length
	in.reading.setEncoding(said)
	return nil
}

// sniffText detects the ends of lines and the delimiter.
func (in *Input) sniffText() error {
	head, whole, err := readHead(undamaged{in.text(in.content())})
	if err != nil {
		return fmt.Errorf("read %s: %w", in.name, err)
	}
	if endsInCR(head, whole, in.format.table()) {
		in.reading.Newline = newlineCR
		in.found.add("lines that end in CR")
		head = bytes.ReplaceAll(head, []byte("\r"), []byte("\n"))
	}
	if in.format == JSON {
		return in.sniffObjects(head, whole)
	}
	if in.format != CSV && in.format != TSV {
		return nil
	}
	if in.options.Delimiter != "" {
		said, err := parseDelimiter(in.options.Delimiter)
		in.reading.setDelimiter(in.format, said)
		return err
	}
	char := findDelimiter(head, whole, in.format, in.neededColumns())
	in.reading.setDelimiter(in.format, char)
	if char != in.format.delimiter() {
		in.found.add("cells separated by %ss", delimiterName(char))
	}
	return nil
}

// sniffObjects distinguishes an array of objects from an object a line.
func (in *Input) sniffObjects(head []byte, whole bool) error {
	head = bytes.TrimLeft(head, " \t\r\n")
	if in.array = bytes.HasPrefix(head, []byte("[")); in.array {
		return nil
	}
	first, _, ended := bytes.Cut(head, []byte("\n"))
	if (ended || whole) && len(first) > 0 && !json.Valid(first) {
		return &usage.Error{What: in.name + " is neither an array of objects nor an object a line", Hint: "as [{\"question\": \"...\"}, ...]"}
	}
	return nil
}

// endsInCR reports whether CR alone ends the lines of a text that begins with text, or is text if whole. In a table a
// quoted line end is part of a cell.
func endsInCR(text []byte, whole, table bool) bool {
	found, quoted := false, false
	for i, b := range text {
		switch {
		case b == '"' && table:
			quoted = !quoted
		case quoted:
		case b == '\n':
			return false
		case b == '\r':
			if last := i+1 == len(text); last && whole || !last && text[i+1] != '\n' {
				found = true
			}
		}
	}
	return found
}

// neededColumns are the columns that each question needs.
func (in *Input) neededColumns() (names []string) {
	if in.prompt != nil {
		names = append(names, in.prompt.names...)
	} else {
		names = append(names, in.questionCol())
	}
	if in.options.CustomIDCol != "" {
		names = append(names, in.options.CustomIDCol)
	}
	return names
}

// sniffBook finds the sheet.
func (in *Input) sniffBook(head []byte) error {
	if bytes.HasPrefix(head, magicOLE) {
		return &usage.Error{What: in.name + " is an .xls, or an .xlsx with a password", Hint: "save it as .xlsx without one"}
	}
	book, err := sheet.Open(in.file.Name())
	if bad, ok := errors.AsType[*sheet.DamagedError](err); ok {
		return &InvalidInput{Problems: []*Problem{in.problem(bad.Row, "%s", bad.What)}, Total: 1}
	}
	if err != nil {
		return err
	}
	in.book = book
	sheets := book.Sheets()
	in.reading.Sheet = book.First()
	if in.options.Sheet != "" {
		if in.reading.Sheet = book.Find(in.options.Sheet); in.reading.Sheet == "" {
			hint := "its sheets are " + quoted(sheets)
			if near := usage.Nearest(in.options.Sheet, sheets); near != "" {
				hint += fmt.Sprintf("; did you mean --sheet %q?", near)
			}
			return &usage.Error{What: fmt.Sprintf("%s has no sheet %q", in.name, in.options.Sheet), Hint: hint}
		}
	} else if len(sheets) > 1 {
		in.found.add("sheet %q, one of %d (--sheet names another)", in.reading.Sheet, len(sheets))
	}
	return nil
}
