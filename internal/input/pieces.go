package input

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// pieceReader splits a text into pieces that make a row each: lines, or the items of an array.
type pieceReader interface {
	// read returns the next piece, valid until the next call; io.EOF behind the last one.
	read() ([]byte, error)

	// place is where the last piece begins: its line, from 1, and its number among the items of an array, from 1, or 0.
	place() (line, item int)
}

func newPieceReader(text io.Reader, array bool, max int) pieceReader {
	r := bufio.NewReaderSize(text, 64<<10)
	if array {
		return &itemReader{r: r, max: max, line: 1}
	}
	return &lineReader{r: r, max: max}
}

// Piece is a line of a file, or an item of its array.
type Piece struct {
	Line int // on which it begins, from 1
	Item int // its number in the array, from 1; 0 = it is a line
	Text []byte
}

// maxLine bounds a line of input, in bytes: Coze accepts 15 MiB of content, which JSON may double.
const maxLine = 32 << 20

var errLineTooLong = errors.New("line is longer than 32 MiB")

// lineReader reads lines of any kind of file, each into the same buffer.
type lineReader struct {
	r   *bufio.Reader
	max int

	n      int // of the line that was read last, from 1
	buffer []byte
}

func (l *lineReader) place() (line, item int) { return l.n, 0 }

// read returns the next line without its end, valid until the next call. A line that is too long is skipped and reported as
// errLineTooLong.
func (l *lineReader) read() ([]byte, error) {
	l.buffer = l.buffer[:0]
	tooLong, begun := false, false
	for {
		piece, err := l.r.ReadSlice('\n')
		begun = begun || len(piece) > 0
		if tooLong = tooLong || len(l.buffer)+len(piece) > l.max; !tooLong {
			l.buffer = append(l.buffer, piece...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if !begun || err != nil && err != io.EOF {
			return nil, err
		}
		break
	}
	l.n++
	if tooLong {
		return nil, errLineTooLong
	}
	line := bytes.TrimSuffix(l.buffer, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
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
