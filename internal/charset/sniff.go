package charset

import (
	"io"
	"unicode/utf8"
)

// Found is the result of Sniff.
type Found struct {
	Encoding Encoding
	Mark     int // length of the byte order mark, in bytes
}

const (
	block  = 64 << 10
	window = 256 << 10 // bytes looked at, from the first block that is not plain ASCII
	reach  = 64 << 20  // bytes searched for that block
)

// Sniff detects the encoding of a text. It skips plain ASCII, which says nothing, for up to 64 MiB, and decides by the 256
// KiB after it; so the rest of the file may contradict it. The result depends on the bytes only. A file that is not text in
// any encoding counts as UTF-8, so that its lines are refused one by one. The error is r's.
func Sniff(r io.Reader) (Found, error) {
	text := make([]byte, window)
	n, err := io.ReadFull(r, text[:block])
	if e, length := Mark(text[:n]); length > 0 {
		return Found{Encoding: e, Mark: length}, nil
	}
	passed := false // a block of plain ASCII was skipped
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
	if !passed { // 64 KiB of UTF-16 are never plain ASCII: a NUL after them is a stray one
		if order := guessUTF16(text[:n], whole); order != "" {
			return Found{Encoding: order}, nil
		}
	}
	return Found{Encoding: guess(text[:n], whole)}, nil
}

// plain reports whether a block is plain ASCII, which says nothing about the encoding.
func plain(text []byte) bool {
	for _, b := range text {
		if b == 0 || b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// guess detects the encoding of a text that has no mark and is not UTF-16; whole = it is all of the text, so it cannot end
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
