package input

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxLine bounds a line of input, in bytes: Coze accepts 15 MiB of content, which JSON may double.
const maxLine = 32 << 20

var errLineTooLong = errors.New("line is longer than 32 MiB")

// lineReader reads lines of any kind of file, each into the same buffer.
type lineReader struct {
	r   *bufio.Reader
	max int

	n      int   // of the line that was read last, from 1
	at     int64 // where it begins
	next   int64 // where the next one begins
	whole  bool  // it ended in a newline
	buffer []byte
}

func newLineReader(r io.Reader, max int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10), max: max}
}

func (l *lineReader) place() (line, item int) { return l.n, 0 }

// read returns the next line without its end, valid until the next call. A line that is too long is skipped and reported as
// errLineTooLong.
func (l *lineReader) read() ([]byte, error) {
	l.buffer = l.buffer[:0]
	l.at = l.next
	tooLong := false
	for {
		piece, err := l.r.ReadSlice('\n')
		l.next += int64(len(piece))
		if tooLong = tooLong || len(l.buffer)+len(piece) > l.max; !tooLong {
			l.buffer = append(l.buffer, piece...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		l.whole = err == nil
		if l.next == l.at || err != nil && err != io.EOF {
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
