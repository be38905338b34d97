package charset

import (
	"io"
	"unicode/utf8"
)

// Found is what Sniff tells of a file.
type Found struct {
	Encoding Encoding
	Mark     int // bytes of a mark at the beginning, to be passed over
}

const (
	block  = 64 << 10
	window = 256 << 10 // what is looked at, from the first block on that is not plain ASCII
	reach  = 64 << 20  // how far that block is looked for
)

// Sniff tells the encoding of the text that r holds from its beginning on. It reads past what is plain ASCII, as that
// says nothing, for up to 64 MiB, and decides by the 256 KiB that follow; so a guess can be contradicted later in the
// file. The same bytes always give the same answer. What is no text in any of the encodings is said to be UTF-8, so that
// its lines are refused one by one. The error is r's.
func Sniff(r io.Reader) (Found, error) {
	text := make([]byte, window)
	n, err := io.ReadFull(r, text[:block])
	if e, length := Mark(text[:n]); length > 0 {
		return Found{Encoding: e, Mark: length}, nil
	}
	passed := false // a block of plain ASCII
	for read := n; err == nil && read < reach && plain(text[:n]); read += n {
		passed = true
		n, err = io.ReadFull(r, text[:block])
	}
	if err == nil {
		var more int
		more, err = io.ReadFull(r, text[n:])
		n += more
	}
	whole := err == io.EOF || err == io.ErrUnexpectedEOF
	if err != nil && !whole {
		return Found{}, err
	}
	if !passed { // no 64 KiB of UTF-16 are plain ASCII: a NUL behind them is a stray one
		if order := guessUTF16(text[:n], whole); order != "" {
			return Found{Encoding: order}, nil
		}
	}
	return Found{Encoding: guess(text[:n], whole)}, nil
}

// plain reports whether a block is nothing but ASCII, so says nothing of the encoding.
func plain(text []byte) bool {
	for _, b := range text {
		if b == 0 || b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// guess tells the encoding of a text without a mark that is not UTF-16; whole = it is all there is, so it does not end
// in half a character.
func guess(text []byte, whole bool) Encoding {
	chinese := readGB(text)
	if validUTF8(text, whole) {
		if chinese.certain() && !plausible(text) {
			return GB18030
		}
		return UTF8
	}
	if chinese.probable() {
		return GB18030
	}
	return UTF8
}

func validUTF8(text []byte, whole bool) bool {
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return !whole && !utf8.FullRune(text[i:])
		}
		i += size
	}
	return true
}
