package input

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
)

// pieceReader splits a text into pieces that make a row each: lines, or the items of an array.
type pieceReader interface {
	// read returns the next piece, valid until the next call; io.EOF behind the last one.
	read() ([]byte, error)

	// place is where the last piece begins: its line, from 1, and its number among the items of an array, from 1, or 0.
	place() (line, item int)
}

// pieces reads a .jsonl, a .json or a .txt.
func (in *Input) pieces(content io.Reader, max int) pieceReader {
	text := in.text(content)
	if in.array {
		return &itemReader{r: bufio.NewReaderSize(text, 64<<10), max: max, line: 1}
	}
	return newLineReader(text, max)
}

// Piece is a line of a file, or an item of its array.
type Piece struct {
	Line int // on which it begins, from 1
	Item int // its number in the array, from 1; 0 = it is a line
	Text []byte
}

// Pieces yields the lines or items as they stand in the file, whatever their length. A damaged file is a *Problem, which
// ends the sequence.
func (in *Input) Pieces() iter.Seq2[Piece, error] { return in.eachPiece(in.content(), math.MaxInt32) }

// eachPiece yields the pieces of content. One that is too long is a *Problem, and the sequence continues.
func (in *Input) eachPiece(content io.Reader, max int) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		for pieces := in.pieces(content, max); ; {
			text, err := pieces.read()
			line, item := pieces.place()
			_, damaged := errors.AsType[*damagedError](err)
			_, broken := errors.AsType[*arrayError](err)
			switch {
			case err == nil:
				if !yield(Piece{line, item, text}, nil) {
					return
				}
				continue
			case err == errLineTooLong:
				if !yield(Piece{}, in.problem(line, "%v", err)) {
					return
				}
				continue
			case err == io.EOF:
			case damaged && item == 0:
				yield(Piece{}, in.problem(line+1, "%v", err))
			case damaged, broken:
				yield(Piece{}, in.problem(line, "%s%v", itemName(item), err))
			default:
				yield(Piece{}, fmt.Errorf("read %s: %w", in.name, err))
			}
			return
		}
	}
}

// arrayError is an array that cannot be read to its end.
type arrayError struct{ what string }

func (e *arrayError) Error() string { return e.what }

// itemReader reads the items of a JSON array one by one, as an array of a million objects does not fit into memory. It
// looks at brackets and quotes only, so that an item with another mistake is one bad row.
type itemReader struct {
	r   *bufio.Reader
	max int

	line   int // the last one read
	begin  int // on which the last item begins
	n      int // items read
	closed bool
	buffer []byte
}

func (r *itemReader) place() (line, item int) { return r.begin, r.n }

func (r *itemReader) next() (byte, error) {
	b, err := r.r.ReadByte()
	if b == '\n' {
		r.line++
	}
	return b, err
}

// skip reads the next byte that is not white space.
func (r *itemReader) skip() (byte, error) {
	for {
		b, err := r.next()
		if err != nil || !bytes.ContainsRune([]byte(" \t\r\n"), rune(b)) {
			return b, err
		}
	}
}

func (r *itemReader) read() ([]byte, error) {
	if r.closed {
		return nil, r.end()
	}
	if r.n == 0 {
		if _, err := r.skip(); err != nil { // the array's [
			return nil, cutShort(err)
		}
	}
	b, err := r.skip()
	if err != nil {
		return nil, cutShort(err)
	}
	r.begin = r.line
	if b == ']' && r.n == 0 {
		r.closed = true
		return nil, r.end()
	}
	r.n++
	r.buffer = r.buffer[:0]
	for depth, quoted := 0, false; ; {
		switch {
		case quoted && b == '\\':
			r.buffer = append(r.buffer, b)
			if b, err = r.next(); err != nil {
				return nil, cutShort(err)
			}
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			depth++
		case depth == 0 && (b == ',' || b == ']'):
			r.closed = b == ']'
			return bytes.TrimSpace(r.buffer), nil
		case b == '}' || b == ']':
			depth = max(depth-1, 0)
		}
		r.buffer = append(r.buffer, b)
		if len(r.buffer) > r.max {
			return nil, &arrayError{"the item is longer than 32 MiB: is a quote or a bracket not closed?"}
		}
		if b, err = r.next(); err != nil {
			return nil, cutShort(err)
		}
	}
}

// end is io.EOF if nothing follows the array.
func (r *itemReader) end() error {
	_, err := r.skip()
	if err == nil {
		r.begin, r.n = r.line, 0
		return &arrayError{"something stands behind the array"}
	}
	return err
}

// cutShort makes an arrayError of an array that is not closed; other errors are the disk's.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return &arrayError{"the array is not closed: the file is cut short, or a quote or a bracket is not closed"}
	}
	return err
}
