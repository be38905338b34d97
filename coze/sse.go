package coze

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

const (
	// smallBuffer is the buffer for what has arrived, also again after a large event. A delta is about 400 bytes, so one
	// read takes ten.
	smallBuffer = 4 << 10
	// wideBuffer is used while more arrives than fits the small one: a worker that is short of CPU finds many deltas
	// waiting, and a read costs more than the bytes it returns.
	wideBuffer = 32 << 10
	// minRead is the least room worth a read.
	minRead = 512
	// waitBuffer is less than an event has. A stream whose events come one by one holds no more while it waits for the next.
	// That costs a second read for each; where they come faster, it would be 2 % of a worker's CPU.
	waitBuffer = 64
)

var (
	smallBuffers  = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	wideBuffers   = sync.Pool{New: func() any { return new([wideBuffer]byte) }}
	byteOrderMark = []byte("\xef\xbb\xbf")
	doneMark      = []byte("[DONE]")
)

// frame is one undecoded event. Its data is valid until the next call of decoder.next.
type frame struct {
	name EventType // "" = no name
	data []byte
	bare bool // a line of JSON where an event should begin: a refusal within a stream
}

// decoder reads server-sent events by the WHATWG's rules: lines end with LF, CRLF or CR, one space after the colon does not
// belong to the value, lines of data are joined with LF, an event without data is dropped, and so are comments and unknown
// fields. There are two exceptions: an event at the end of the body needs no blank line if its data is complete (Coze ends
// that way), and a line that begins with a brace is passed on as bare.
//
// Everything happens in one buffer. A block (the lines of one event) stays where it was read, as offsets; a second line of
// data is moved to the end of the first, over bytes that were read before. So an event costs no copy and no allocation, and
// a block may have up to max bytes.
type decoder struct {
	r      io.Reader
	max    int
	buf    []byte
	pooled *[smallBuffer]byte // buf, while it is the small one
	wide   *[wideBuffer]byte  // buf, while it is the wide one
	came   int                // bytes of the last read
	wait   [waitBuffer]byte   // buf, until the next event begins
	err    error              // of r, sticky

	pos, end int  // the line being read begins at pos; bytes are there up to end
	lf, cr   int  // there is no LF in buf[pos:lf] and no CR in buf[pos:cr], so no byte is searched twice
	begun    bool // the place of a byte order mark is passed
	afterCR  bool // an LF at pos ends the line before

	open             bool // a field of a block was read; the block begins at block
	block            int
	name             EventType
	hasData          bool
	dataFrom, dataTo int
}

func newDecoder(r io.Reader, limit int) *decoder { return &decoder{r: r, max: limit} }

// next returns the next frame, io.EOF at the end of the body.
func (d *decoder) next() (frame, error) {
	for {
		from, to, err := d.line()
		if err == io.EOF { // readers do not wrap it
			return d.last()
		}
		if err != nil {
			return frame{}, err
		}
		if from == to {
			if f, ok := d.dispatch(); ok {
				return f, d.fits(to)
			}
			continue
		}
		if f, ok := d.field(from, to); ok {
			return f, nil
		}
		if d.open || d.buf[from] != ':' {
			if !d.open {
				d.block = from
			}
			if err := d.fits(to); err != nil {
				return frame{}, err
			}
		}
	}
}

// fits returns an error if the block up to offset to is over the limit.
func (d *decoder) fits(to int) error {
	if to-d.block > d.max {
		return fmt.Errorf("%w of %d bytes", ErrEventTooLarge, d.max)
	}
	return nil
}

// unfinished is the beginning of a block that is over the limit.
func (d *decoder) unfinished() []byte { return d.buf[d.block:d.end] }

// line returns the offsets of the next whole line, without its end, and moves past it.
func (d *decoder) line() (from, to int, err error) {
	for {
		if d.afterCR && d.pos < d.end {
			d.afterCR = false
			if d.buf[d.pos] == '\n' {
				d.pos++
			}
		}
		if d.begin() {
			d.lf = d.seek('\n', d.lf)
			d.cr = d.seek('\r', d.cr)
			if i := min(d.lf, d.cr); i < d.end {
				from, d.pos = d.pos, i+1
				d.afterCR = d.buf[i] == '\r'
				return from, i, nil
			}
		}
		if err := d.fill(); err != nil {
			return 0, 0, err
		}
	}
}

// begin skips a byte order mark; it is false until there are enough bytes to know.
func (d *decoder) begin() bool {
	if d.begun {
		return true
	}
	head := d.buf[d.pos:d.end]
	if len(head) < len(byteOrderMark) && bytes.HasPrefix(byteOrderMark, head) {
		return false
	}
	if bytes.HasPrefix(head, byteOrderMark) {
		d.pos += len(byteOrderMark)
	}
	d.begun = true
	return true
}

// seek returns the offset of the first c at or after known, d.end if there is none yet.
func (d *decoder) seek(c byte, known int) int {
	known = max(known, d.pos)
	if i := bytes.IndexByte(d.buf[known:d.end], c); i >= 0 {
		return known + i
	}
	return d.end
}

// field handles a line that is not blank. It returns a frame only for a bare line.
func (d *decoder) field(from, to int) (frame, bool) {
	line := d.buf[from:to]
	name, value := line, to
	if i := bytes.IndexByte(line, ':'); i >= 0 {
		name, value = line[:i], from+i+1
		if value < to && d.buf[value] == ' ' {
			value++
		}
	}
	switch string(name) {
	case "data":
		d.opened(from)
		if !d.hasData {
			d.hasData, d.dataFrom, d.dataTo = true, value, to
			break
		}
		// buf[dataTo] ended an earlier line and the value lies after it: both may be overwritten.
		d.buf[d.dataTo] = '\n'
		d.dataTo += 1 + copy(d.buf[d.dataTo+1:], d.buf[value:to])
	case "event":
		d.opened(from)
		d.name = eventType(d.buf[value:to])
	default:
		if !d.open && line[0] == '{' && len(line) <= d.max {
			return frame{bare: true, data: line}, true
		}
	}
	return frame{}, false
}

func (d *decoder) opened(at int) {
	if !d.open {
		d.open, d.block = true, at
	}
}

// dispatch ends the block; ok is false without data.
func (d *decoder) dispatch() (frame, bool) {
	f, ok := frame{name: d.name, data: d.buf[d.dataFrom:d.dataTo]}, d.hasData
	if !d.open {
		d.block = d.pos
	}
	d.open, d.hasData, d.name, d.dataFrom, d.dataTo = false, false, "", 0, 0
	return f, ok
}

// last handles what is left at the end of the body without a line end or a blank line.
func (d *decoder) last() (frame, error) {
	if d.pos < d.end {
		from := d.pos
		d.pos = d.end
		if f, ok := d.field(from, d.end); ok {
			return f, nil
		}
	}
	if f, ok := d.dispatch(); ok && (json.Valid(f.data) || bytes.Equal(bytes.TrimSpace(f.data), doneMark)) {
		return f, nil
	}
	return frame{}, io.EOF
}

// fill reads once, into room that it makes.
func (d *decoder) fill() error {
	if !d.open {
		d.block = d.pos
		if d.pos < d.end && d.buf[d.pos] == ':' {
			d.end = d.pos + 1 // of a comment between events only the colon is kept
			d.lf, d.cr = d.end, d.end
		}
	}
	if d.begun { // what may still be a byte order mark belongs to no event
		if err := d.fits(d.end); err != nil {
			return err
		}
	}
	if d.err != nil {
		return d.err
	}
	d.makeRoom()
	for range 100 {
		n, err := d.r.Read(d.buf[d.end:])
		d.end += n
		d.came = n
		d.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	d.err = io.ErrNoProgress
	return d.err
}

// makeRoom leaves at least minRead bytes free at the end of the buffer: it drops consumed bytes, returns to a small
// buffer after a large event, or doubles the buffer for one. A stream that only waits gets the wait buffer.
func (d *decoder) makeRoom() {
	held := d.end - d.block
	much, few := d.came >= smallBuffer-2*minRead, d.came < minRead
	switch {
	case much && d.wide == nil && held <= wideBuffer-minRead:
		wide := wideBuffers.Get().(*[wideBuffer]byte)
		d.moveTo(wide[:])
		d.giveBack()
		d.wide = wide
	case held == 0 && few:
		d.moveTo(d.wait[:])
		d.giveBack()
	case d.pooled == nil && !much && held <= smallBuffer-minRead:
		small := smallBuffers.Get().(*[smallBuffer]byte)
		d.moveTo(small[:])
		d.giveBack()
		d.pooled = small
	case len(d.buf)-d.end >= minRead:
	case len(d.buf)-held >= minRead:
		d.moveTo(d.buf)
	default:
		d.moveTo(make([]byte, min(2*len(d.buf), d.max+2*minRead)))
		d.giveBack()
	}
}

// giveBack returns the replaced buffer to its pool.
func (d *decoder) giveBack() {
	if d.pooled != nil {
		smallBuffers.Put(d.pooled)
	}
	if d.wide != nil {
		wideBuffers.Put(d.wide)
	}
	d.pooled, d.wide = nil, nil
}

// moveTo copies the open block, or the line being read, to the start of buf, which may be d.buf.
func (d *decoder) moveTo(buf []byte) {
	copy(buf, d.buf[d.block:d.end])
	by := d.block
	d.buf, d.block = buf, 0
	d.pos, d.end, d.lf, d.cr = d.pos-by, d.end-by, d.lf-by, d.cr-by
	if d.hasData {
		d.dataFrom, d.dataTo = d.dataFrom-by, d.dataTo-by
	}
}

// release returns the buffer to its pool. The decoder cannot be used after it.
func (d *decoder) release() {
	d.giveBack()
	d.buf, d.err, d.pos, d.end, d.block = nil, io.EOF, 0, 0, 0
}
