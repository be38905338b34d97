package input

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/cozeq/cozeq/internal/charset"
	"github.com/cozeq/cozeq/internal/sheet"
	"github.com/cozeq/cozeq/internal/usage"
)

// Input is a file of questions.
type Input struct {
	name    string // for errors
	format  Format
	options Options
	prompt  *prompt  // nil: there is a column with the question
	known   []string // the names by which a column or field means something
	data    io.ReaderAt
	file    *os.File // the data, unless they are in memory
	live    *live    // a pipe that is read as it is written, data being its beginning; nil: all of it is there
	spooled bool     // file is a temporary copy that still has its name

	reading reading
	mark    int  // bytes of the byte order mark at the beginning
	array   bool // a json is one array of objects, not an object a line
	found   findings

	book   *sheet.Book  // of an xlsx
	unpack sync.Mutex   // guards table
	table  *sheet.Table // its rows, once they are needed

	stats  *Stats  // of a Check without errors
	blocks *blocks // of the content as it was then, of an xlsx as it was unpacked; nil = not known yet
	fits   bool    // all of it goes into an xlsx
}

// Open opens the file at path, or stdin for "-", and detects how to read it. Options that do not fit together or the file
// are a *usage.Error. A pipe, which can be read only once, is copied to a temporary file. The caller closes the Input.
func Open(path string, o Options) (*Input, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	in := &Input{name: path, options: o}
	compressed, err := in.plan(path)
	if err != nil {
		return nil, err
	}
	if path == "-" {
		in.name = stdinName
		err = in.standard()
	} else {
		err = in.open(path)
	}
	if err == nil {
		err = in.sniff(compressed)
	}
	if err == nil && in.live != nil {
		in.findLiveStandIn()
	}
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

const stdinName = "stdin"

// plan decides what can be decided before the file is opened.
func (in *Input) plan(path string) (compressed bool, err error) {
	if in.format, compressed, err = inputFormat(path, in.options.Format); err != nil {
		return false, err
	}
	if in.options.Prompt != "" {
		if in.prompt, err = newPrompt(in.options.Prompt); err != nil {
			return false, err
		}
	}
	in.known = in.knownNames()
	for _, flag := range []struct {
		name, value string
		ok          bool
		of          string
	}{
		{"--sheet", in.options.Sheet, in.format == XLSX, "an .xlsx"},
		{"--delimiter", in.options.Delimiter, in.format == CSV || in.format == TSV, "a .csv or .tsv"},
		{"--encoding", in.options.Encoding, in.format != XLSX, "a text, and an .xlsx is none"},
		{"--question-col", in.options.QuestionCol, in.format != TXT, "a file with columns or fields"},
		{"--custom-id-col", in.options.CustomIDCol, in.format != TXT, "a file with columns or fields"},
		{"--system", in.options.System, in.format.Objects(), "a .jsonl or .json"},
		{"--unsupported", in.options.Unsupported, in.format.Objects(), "a .jsonl or .json"},
	} {
		if flag.value != "" && !flag.ok {
			return false, &usage.Error{What: fmt.Sprintf("%s is for %s", flag.name, flag.of), Hint: fmt.Sprintf("leave it out for a .%s", in.format)}
		}
	}
	return compressed, nil
}

// questionCol is the name of the column or field with the question.
func (in *Input) questionCol() string {
	if in.options.QuestionCol != "" {
		return in.options.QuestionCol
	}
	return FieldQuestion
}

// customIDCol is the name of the column or field with the custom_id.
func (in *Input) customIDCol() string {
	if in.options.CustomIDCol != "" {
		return in.options.CustomIDCol
	}
	return FieldCustomID
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
		err = directoryError(path)
	case !info.Mode().IsRegular():
		err = in.spool(f)
	default:
		in.data, in.file = f, f
		return nil
	}
	return errors.Join(err, f.Close())
}

// standard opens what the path - stands for.
func (in *Input) standard() error {
	content, stdin := in.options.Content, in.options.Stdin
	switch {
	case content != nil && in.format == XLSX: // is opened by its name
		return in.spool(bytes.NewReader(content))
	case content != nil:
		in.data = bytes.NewReader(content)
		return nil
	case stdin == nil:
		stdin = os.Stdin
	}
	if in.options.Live && in.format != XLSX && in.format != JSON && isPipe(stdin) {
		in.live = openLive(stdin)
		in.data = bytes.NewReader(in.live.head)
		if !bytes.HasPrefix(in.live.head, magicGzip) {
			return nil
		}
		stdin, in.live = in.live.content(context.Background(), func() error { return nil }), nil
	}
	return in.spool(stdin)
}

func (in *Input) spool(r io.Reader) error {
	f, err := os.CreateTemp("", "cozeq-input-*")
	if err != nil {
		return fmt.Errorf("copy %s: %w", in.name, err)
	}
	in.data, in.file, in.spooled = f, f, true
	if _, err := io.Copy(f, r); err != nil {
		return fmt.Errorf("copy %s to %s: %w", in.name, f.Name(), err)
	}
	if in.format != XLSX {
		in.forget()
	}
	return nil
}

// forget removes the name of a copy, where a system allows that for an open file, so that a process that is killed leaves
// nothing behind. An .xlsx is opened by its name until it is unpacked.
func (in *Input) forget() {
	if in.spooled {
		in.spooled = os.Remove(in.file.Name()) != nil
	}
}

// Close closes the file and removes its temporary copy.
func (in *Input) Close() error {
	if in.file == nil {
		return nil
	}
	err := in.file.Close()
	if in.spooled {
		err = errors.Join(err, os.Remove(in.file.Name()))
	}
	if in.table != nil {
		err = errors.Join(err, in.table.Close())
	}
	in.file, in.table = nil, nil
	return err
}

// Name is the input as errors name it: its path, or stdin.
func (in *Input) Name() string { return in.name }

// Format is the format that the input is read in.
func (in *Input) Format() Format { return in.format }

// BotID is the bot of the rows that name none.
func (in *Input) BotID() string { return in.options.BotID }

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
	bot := in.options.BotID
	in.options.BotID = nobody
	defer func() { in.options.BotID = bot }()
	for row, err := range in.Rows() {
		return err != nil || row.Chat.BotID != nobody
	}
	return true
}

// Rows yields the rows in the order of the file, from its beginning at each call, and holds one at a time. Each error in a
// row is yielded as a *Problem, and the sequence continues; any other error ends it. Blank lines, and rows of empty cells,
// are skipped.
func (in *Input) Rows() iter.Seq2[*Row, error] { return in.rows(context.Background(), in.content()) }

// content reads the file from its beginning. After a Check, content that has changed since is ErrEdited. Readers of one
// file are independent.
func (in *Input) content() io.Reader {
	if in.blocks != nil {
		return in.blocks.read(in.data)
	}
	return io.NewSectionReader(in.data, 0, math.MaxInt64)
}

// rows reads rows from content.
func (in *Input) rows(ctx context.Context, content io.Reader) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		switch in.format {
		case JSONL, JSON:
			in.jsonRows(content, yield)
		case CSV, TSV, XLSX:
			in.tableRows(ctx, content, yield)
		case TXT:
			in.txtRows(content, yield)
		}
	}
}

func (in *Input) problem(line int, format string, args ...any) *Problem {
	return &Problem{File: in.name, Line: line, What: fmt.Sprintf(format, args...)}
}

// unreadable says that a line is not in the file's encoding.
func (in *Input) unreadable() string {
	e := in.reading.encoding()
	switch {
	case in.options.Encoding != "":
		return fmt.Sprintf("not %s, as --encoding says", e)
	case e == charset.UTF8:
		return "not UTF-8: say what it is with --encoding, or save the file as UTF-8"
	}
	return fmt.Sprintf("not %s, which the file was taken for: say what it is with --encoding, or save it as UTF-8", e)
}

// wrongText finds what no text may contain; "" = nothing. column is the name of the text's column, if it has one.
func (in *Input) wrongText(text []byte, column string) string {
	if !validUTF8(text) {
		return in.unreadable()
	}
	nuls := bytes.Count(text, []byte{0})
	if nuls == 0 {
		return ""
	}
	what := "a NUL byte"
	if column != "" {
		what += fmt.Sprintf(" in column %q", column)
	}
	if nuls > 1 && nuls*4 >= len(text) && in.options.Encoding == "" { // UTF-16 without an end of a line to tell it by
		what += ": if the file is UTF-16, say so with --encoding utf-16le or utf-16be"
	}
	return what
}
