package batch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
)

// InputOptions say how an input is read. The zero value is good for a file whose rows name their bots.
type InputOptions struct {
	// Format is jsonl, csv, tsv or txt. Empty: by the file's extension; of stdin, jsonl.
	Format string

	// QuestionCol is the column of a csv or tsv that holds the question. Empty: question.
	QuestionCol string

	// Stdin is what the path - reads. nil: os.Stdin.
	Stdin io.Reader

	// BotID is the bot of rows that name none. Empty: each row must name its own.
	BotID string

	// Credential and OnTurnFailure are those of all rows: see tasks.Chat.
	Credential    string
	OnTurnFailure string
}

// Input is a file of questions.
type Input struct {
	name    string // as errors name it
	format  Format
	options InputOptions
	file    *os.File
	spooled bool // file is a copy of ours, removed at Close
	bom     bool
	stats   *Stats // of the Check that found nothing wrong
}

// Open opens the file at path, or stdin for "-". An unknown format is a *UsageError. What can be read only once, a pipe,
// is copied to a temporary file. The caller closes the Input.
func Open(path string, o InputOptions) (*Input, error) {
	in := &Input{name: path, options: o}
	if in.options.QuestionCol == "" {
		in.options.QuestionCol = fieldQuestion
	}
	var err error
	if in.format, err = inputFormat(path, o.Format); err != nil {
		return nil, err
	}
	if path == "-" {
		in.name = "stdin"
		stdin := o.Stdin
		if stdin == nil {
			stdin = os.Stdin
		}
		err = in.spool(stdin)
	} else {
		err = in.open(path)
	}
	if err == nil {
		err = in.sniff()
	}
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

func (in *Input) open(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = &UsageError{What: path + " is a directory", Hint: "name a file of questions"}
	case !info.Mode().IsRegular():
		err = in.spool(f)
	default:
		in.file = f
		return nil
	}
	return errors.Join(err, f.Close())
}

func (in *Input) spool(r io.Reader) error {
	f, err := os.CreateTemp("", "cozeq-input-*")
	if err != nil {
		return fmt.Errorf("copy %s: %w", in.name, err)
	}
	in.file, in.spooled = f, true
	if _, err := io.Copy(f, r); err != nil {
		return fmt.Errorf("copy %s to %s: %w", in.name, f.Name(), err)
	}
	return nil
}

var utf8BOM = []byte("\xef\xbb\xbf")

// sniff looks at the first bytes. What a spreadsheet saves as "Unicode text" is told from a bad line.
func (in *Input) sniff() error {
	head := make([]byte, 3)
	n, err := in.file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read %s: %w", in.name, err)
	}
	head = head[:n]
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return &UsageError{What: in.name + " is UTF-16", Hint: "save it as UTF-8"}
	}
	in.bom = bytes.Equal(head, utf8BOM)
	return nil
}

// Close closes the file, and removes the copy of one that could be read only once.
func (in *Input) Close() error {
	if in.file == nil {
		return nil
	}
	err := in.file.Close()
	if in.spooled {
		err = errors.Join(err, os.Remove(in.file.Name()))
	}
	in.file = nil
	return err
}

// Name is the input as errors name it: its path, or stdin.
func (in *Input) Name() string { return in.name }

// Format is the format that the input is read in.
func (in *Input) Format() Format { return in.format }

// Rows yields the rows in the order of the file, from its beginning at each call, without ever holding more than one.
// What is wrong with a row is yielded as a *Problem, several for one row where there are several, and the sequence goes
// on; any other error ends it. Blank lines, and rows of empty cells, are no rows.
func (in *Input) Rows() iter.Seq2[*Row, error] { return in.rows(in.content()) }

// content reads the file from its beginning, as it is. Readers of one file do not disturb each other.
func (in *Input) content() io.Reader { return io.NewSectionReader(in.file, 0, math.MaxInt64) }

// rows reads rows from content.
func (in *Input) rows(content io.Reader) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		if err := in.skipBOM(content); err != nil {
			yield(nil, err)
			return
		}
		switch in.format {
		case JSONL:
			in.jsonlRows(content, yield)
		case CSV, TSV:
			in.tableRows(content, yield)
		case TXT:
			in.txtRows(content, yield)
		}
	}
}

func (in *Input) skipBOM(content io.Reader) error {
	if !in.bom {
		return nil
	}
	if _, err := io.CopyN(io.Discard, content, int64(len(utf8BOM))); err != nil {
		return fmt.Errorf("read %s: %w", in.name, err)
	}
	return nil
}

func (in *Input) problem(line int, format string, args ...any) *Problem {
	return &Problem{File: in.name, Line: line, What: fmt.Sprintf(format, args...)}
}
