package input

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/cozeq/cozeq/internal/charset"
	"github.com/cozeq/cozeq/internal/usage"
)

// The first bytes of files.
var (
	magicGzip = []byte("\x1f\x8b")
	magicZip  = []byte("PK\x03\x04")
	magicOLE  = []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
)

// sniffer detects from a file's beginning how to read it, in bounded memory.
type sniffer struct {
	decoder
	array bool // a json is one array of objects, not an object a line
	found findings

	file    *file
	format  Format
	options *Options
	needed  []string // the columns that each question needs
}

// sniff detects how to read a file that is no .xlsx and begins with head. promised means that its name ends in .gz.
func (s *sniffer) sniff(head []byte, promised bool) error {
	s.Compressed = bytes.HasPrefix(head, magicGzip)
	switch {
	case promised && !s.Compressed:
		return &usage.Error{What: s.file.name + " is not compressed with gzip", Hint: "take .gz off its name, or say what it is with --format"}
	case bytes.HasPrefix(head, magicZip):
		return &usage.Error{What: fmt.Sprintf("%s is a zip archive, as an .xlsx is, and no .%s", s.file.name, s.format), Hint: "if it is an .xlsx, say --format xlsx"}
	case bytes.HasPrefix(head, magicOLE):
		return &usage.Error{What: s.file.name + " is an .xls", Hint: "save it as .xlsx"}
	case s.Compressed && !promised:
		s.found.add("compressed with gzip")
	}
	if err := s.sniffEncoding(); err != nil {
		return err
	}
	return s.sniffText()
}

func (s *sniffer) sniffEncoding() error {
	if s.options.Encoding == "" {
		found, err := charset.Sniff(undamaged{s.unpacked(s.file.content())})
		if err != nil {
			return s.file.readError(err)
		}
		s.setEncoding(found.Encoding)
		s.mark = found.Mark
		if found.Encoding != charset.UTF8 {
			s.found.add("%s", found.Encoding)
		}
		return nil
	}
	s.said = true
	said, err := charset.Parse(s.options.Encoding)
	if err != nil {
		return err
	}
	head := make([]byte, 4)
	n, err := io.ReadFull(undamaged{s.unpacked(s.file.content())}, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return s.file.readError(err)
	}
	marked, length := charset.Mark(head[:n])
	if length > 0 && marked != said {
		return &usage.Error{
			What: fmt.Sprintf("%s begins with the mark of %s, and --encoding says %s", s.file.name, marked, said),
			Hint: "leave --encoding out",
		}
	}
	s.mark = length
	s.setEncoding(said)
	return nil
}

func (s *sniffer) sniffText() error {
	head, whole, err := readHead(undamaged{s.text(s.file.content())})
	if err != nil {
		return s.file.readError(err)
	}
	if endsInCR(head, whole, s.format.table()) {
		s.Newline = newlineCR
		s.found.add("lines that end in CR")
		head = bytes.ReplaceAll(head, []byte("\r"), []byte("\n"))
	}
	if s.format == JSON {
		return s.sniffObjects(head, whole)
	}
	if s.format != CSV && s.format != TSV {
		return nil
	}
	if s.options.Delimiter != "" {
		said, err := parseDelimiter(s.options.Delimiter)
		s.setDelimiter(s.format, said)
		return err
	}
	char := findDelimiter(head, whole, s.format, s.needed)
	s.setDelimiter(s.format, char)
	if char != s.format.delimiter() {
		s.found.add("cells separated by %ss", delimiterName(char))
	}
	return nil
}

func (s *sniffer) sniffObjects(head []byte, whole bool) error {
	head = bytes.TrimLeft(head, " \t\r\n")
	if s.array = bytes.HasPrefix(head, []byte("[")); s.array {
		return nil
	}
	first, _, ended := bytes.Cut(head, []byte("\n"))
	if (ended || whole) && len(first) > 0 && !json.Valid(first) {
		return &usage.Error{What: s.file.name + " is neither an array of objects nor an object a line", Hint: "as [{\"question\": \"...\"}, ...]"}
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
