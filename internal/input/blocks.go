package input

import (
	"errors"
	"hash/maphash"
	"io"
	"math"
)

// ErrEdited is an input that changed between its check and the reading of its rows.
var ErrEdited = errors.New("it has changed since it was checked: nothing from the changed part on was asked")

// An input is read more than once: it is checked as a whole, and its rows are read again as the window allows, which
// may take hours. If the file is edited meanwhile, questions would be asked that were not checked, and the journal would
// confuse them with others: it knows a row by its number, and an input by the SHA-256 of the check.
//
// So the check keeps a hash of each block, and a later reader returns no byte of a block before it has hashed all of it.
// That costs 8 bytes for each 64 KiB: 25 KiB for a million rows of 200 bytes.

const blockSize = 64 << 10

// blocks are the hashes of a file's blocks. The last block may be shorter.
type blocks struct {
	seed maphash.Seed
	sums []uint64
}

// blockWriter hashes what a file holds.
type blockWriter struct {
	sums []uint64
	hash maphash.Hash
	n    int // bytes of the current block
}

func (w *blockWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		part := rest[:min(len(rest), blockSize-w.n)]
		w.hash.Write(part)
		w.n += len(part)
		rest = rest[len(part):]
		if w.n == blockSize {
			w.end()
		}
	}
	return len(p), nil
}

func (w *blockWriter) end() {
	w.sums = append(w.sums, w.hash.Sum64())
	w.hash.Reset()
	w.n = 0
}

func (w *blockWriter) blocks() *blocks {
	if w.n > 0 {
		w.end()
	}
	return &blocks{w.hash.Seed(), w.sums}
}

// unchanged reads a file that must be the same as when its blocks were hashed.
type unchanged struct {
	want *blocks
	r    io.Reader

	block [blockSize]byte
	left  []byte // of the block, not returned yet
	n     int    // blocks so far
}

func (b *blocks) read(from io.ReaderAt) io.Reader {
	return &unchanged{want: b, r: io.NewSectionReader(from, 0, math.MaxInt64)}
}

func (s *unchanged) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		n, err := io.ReadFull(s.r, s.block[:])
		switch {
		case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
			return 0, err
		case n == 0 && s.n == len(s.want.sums):
			return 0, io.EOF
		case n == 0, s.n >= len(s.want.sums), maphash.Bytes(s.want.seed, s.block[:n]) != s.want.sums[s.n]:
			return 0, ErrEdited
		}
		s.left = s.block[:n]
		s.n++
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}
