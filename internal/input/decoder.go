package input

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/cozeq/cozeq/internal/charset"
)

// The steps from an input's bytes to its rows:
//
//	content ─► unpacked (gzip) ─► behind the mark ─► decoded to UTF-8 ─► CR made LF ─► rows
//
// Each step holds some KiB. Damage comes out as a *damagedError, or as bytes that are not UTF-8.

// decoder says how bytes become UTF-8.
type decoder struct {
	reading
	said bool // the encoding was named, not detected
	mark int  // bytes of the byte order mark at the beginning
}

func (d *decoder) text(content io.Reader) io.Reader {
	r := charset.NewReader(&behind{d.unpacked(content), d.mark}, d.encoding())
	if d.Newline == newlineCR {
		r = &lineFeeds{r: r}
	}
	return r
}

func (d *decoder) unpacked(content io.Reader) io.Reader {
	if !d.Compressed {
		return content
	}
	return &gunzip{packed: bufio.NewReaderSize(content, 64<<10)}
}

// unreadable says that a line is not in the file's encoding.
func (d *decoder) unreadable() string {
	e := d.encoding()
	switch {
	case d.said:
		return fmt.Sprintf("not %s, as --encoding says", e)
	case e == charset.UTF8:
		return "not UTF-8: say what it is with --encoding, or save the file as UTF-8"
	}
	return fmt.Sprintf("not %s, which the file was taken for: say what it is with --encoding, or save it as UTF-8", e)
}

// wrongText finds what no text may contain; "" = nothing. column is the name of the text's column, if it has one.
func (d *decoder) wrongText(text []byte, column string) string {
	if !utf8.Valid(text) {
		return d.unreadable()
	}
	nuls := bytes.Count(text, []byte{0})
	if nuls == 0 {
		return ""
	}
	what := "a NUL byte"
	if column != "" {
		what += fmt.Sprintf(" in column %q", column)
	}
	if nuls > 1 && nuls*4 >= len(text) && !d.said { // UTF-16 without an end of a line to tell it by
		what += ": if the file is UTF-16, say so with --encoding utf-16le or utf-16be"
	}
	return what
}

// damagedError is a compressed file that is cut short or damaged.
type damagedError struct{ err error }

func (e *damagedError) Error() string {
	if e.err == io.ErrUnexpectedEOF || e.err == io.EOF {
		return "the compressed file is cut short"
	}
	return "the compressed file is damaged (" + e.err.Error() + ")"
}

func (e *damagedError) Unwrap() error { return e.err }

// gunzip unpacks; the header is read at the first Read.
type gunzip struct {
	packed *bufio.Reader
	plain  *gzip.Reader
}

func (g *gunzip) Read(p []byte) (int, error) {
	if g.plain == nil {
		plain, err := gzip.NewReader(g.packed)
		if err != nil {
			return 0, damagedOr(err)
		}
		g.plain = plain
	}
	n, err := g.plain.Read(p)
	if err != nil && err != io.EOF {
		err = damagedOr(err)
	}
	return n, err
}

// damagedOr makes a damagedError of a fault of the file; other errors are the disk's.
func damagedOr(err error) error {
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	switch {
	case corrupt, err == io.EOF, err == io.ErrUnexpectedEOF, err == gzip.ErrChecksum, err == gzip.ErrHeader:
		return &damagedError{err}
	}
	return err
}

// undamaged ends where damage begins: for detection at the beginning.
type undamaged struct{ r io.Reader }

func (u undamaged) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if _, ok := errors.AsType[*damagedError](err); ok {
		err = io.EOF
	}
	return n, err
}

// behind skips the first bytes.
type behind struct {
	r    io.Reader
	over int
}

func (b *behind) Read(p []byte) (int, error) {
	for b.over > 0 {
		n, err := b.r.Read(p[:min(b.over, len(p))])
		if b.over -= n; err != nil {
			return 0, err
		}
	}
	return b.r.Read(p)
}

// lineFeeds makes one LF of each CR, and of each CR LF.
type lineFeeds struct {
	r     io.Reader
	after bool // a CR was the last byte
}

func (l *lineFeeds) Read(p []byte) (int, error) {
	for {
		n, err := l.r.Read(p)
		kept := p[:0]
		for _, b := range p[:n] {
			switch {
			case b == '\r':
				kept = append(kept, '\n')
			case b != '\n' || !l.after:
				kept = append(kept, b)
			}
			l.after = b == '\r'
		}
		if len(kept) > 0 || err != nil || n == 0 {
			return len(kept), err
		}
	}
}

// cancelable ends with ctx: a row may take long to arrive.
type cancelable struct {
	ctx context.Context
	r   io.Reader
}

func (h cancelable) Read(p []byte) (int, error) {
	if h.ctx.Err() != nil {
		return 0, context.Cause(h.ctx)
	}
	return h.r.Read(p)
}
