package input

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strings"
)

// Input is a file of questions.
type Input struct {
	options Options
	file    *file
	reader  reader
	found   findings

	stats *Stats // of a Check without errors
	fits  bool   // all of it goes into an xlsx
}

// Open opens the file at path, or stdin for "-", and detects how to read it. Options that do not fit together or the file
// are a *usage.Error. A pipe, which can be read only once, is copied to a temporary file. The caller closes the Input.
func Open(path string, o Options) (*Input, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	format, compressed, err := inputFormat(path, o.Format)
	if err != nil {
		return nil, err
	}
	names, err := newNames(&o)
	if err != nil {
		return nil, err
	}
	if err := o.checkFor(format); err != nil {
		return nil, err
	}
	f, err := openFile(path, format, &o)
	if err != nil {
		return nil, err
	}
	in := &Input{options: o, file: f}
	in.reader = reader{file: f, format: format, names: names, options: &in.options}
	if err := in.detect(compressed); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

// detect finds out how to read the file. compressed means that its name ends in .gz.
func (in *Input) detect(compressed bool) (err error) {
	r := &in.reader
	head := make([]byte, len(magicOLE))
	n, err := in.file.data.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return in.file.readError(err)
	}
	if head = head[:n]; r.format == XLSX {
		if r.book, in.found, err = openBook(in.file, head, in.options.Sheet); err == nil {
			r.decoder.Sheet = r.book.sheet
		}
		return err
	}
	s := sniffer{file: in.file, format: r.format, options: &in.options, needed: r.names.needed()}
	if err := s.sniff(head, compressed); err != nil {
		return err
	}
	r.decoder, r.array, in.found = s.decoder, s.array, s.found
	if in.file.live != nil {
		in.findLiveStandIn()
	}
	return nil
}

func (in *Input) Close() error { return errors.Join(in.file.close(), in.reader.book.close()) }

// Name is the input as errors name it: its path, or stdin.
func (in *Input) Name() string { return in.file.name }

func (in *Input) IsFile(info os.FileInfo) (bool, error) {
	if in.file.disk == nil {
		return false, nil
	}
	own, err := in.file.disk.Stat()
	return err == nil && os.SameFile(own, info), err
}

func (in *Input) Format() Format { return in.reader.format }

// BotID is the bot of the rows that name none.
func (in *Input) BotID() string { return in.options.BotID }

func (in *Input) RunsWorkflow() bool { return in.options.Workflow != nil }

// Found is what was detected and is not the default, for people. It is complete after Check.
func (in *Input) Found() string {
	found := in.found
	if in.stats == nil {
		return found.String()
	}
	found = slices.Clone(found)
	for _, name := range in.stats.StandIns {
		found.add("%q is taken for the question", name)
	}
	if len(in.stats.Ignored) > 0 {
		found.add("%s left to the bot", strings.Join(in.stats.Ignored, ", "))
	}
	if len(in.stats.Dropped) > 0 {
		found.add("%s left out", strings.Join(in.stats.Dropped, ", "))
	}
	return found.String()
}

// NamesBot reports whether the first row names its bot, or is wrong.
func (in *Input) NamesBot() bool {
	const nobody = "?"
	r, o := in.reader, in.options
	r.options, o.BotID = &o, nobody
	for row, err := range r.rows(context.Background(), in.file.content()) {
		return err != nil || row.Chat.BotID != nobody
	}
	return true
}

// Rows yields the rows in the order of the file, from its beginning at each call, and holds one at a time. Each error in a
// row is yielded as a *Problem, and the sequence continues; any other error ends it. Blank lines, and rows of empty cells,
// are skipped.
func (in *Input) Rows() iter.Seq2[*Row, error] {
	return in.reader.rows(context.Background(), in.file.content())
}

// Pieces yields the lines or items as they stand in the file, whatever their length. A damaged file is a *Problem, which
// ends the sequence.
func (in *Input) Pieces() iter.Seq2[Piece, error] {
	return in.reader.pieces(in.file.content(), math.MaxInt32)
}

// TableCells yields the rows of a table as they stand in the file, header included. What the file is to blame for is a
// *Problem. An error ends the sequence.
func (in *Input) TableCells(ctx context.Context) iter.Seq2[cellRow, error] {
	return func(yield func(cellRow, error) bool) {
		t, err := in.reader.cells(ctx, in.file.content())
		line := 1
		for err == nil {
			var row cellRow
			if row, err = t.read(); err != nil {
				break
			}
			line = row.Line
			if !yield(row, nil) {
				return
			}
		}
		if err != io.EOF {
			yield(cellRow{}, in.file.tableError(line, err))
		}
	}
}
