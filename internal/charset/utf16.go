package charset

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// wide is what a text looks like when it is read as UTF-16 in one order of bytes.
type wide struct {
	plain int // characters of ASCII
	bad   int // what is in no text: half a surrogate, a character that is not assigned, a control character
}

// guessUTF16 tells UTF-16 without a mark, "" if it is not or cannot be told. Text in another encoding has no zero bytes,
// and text in UTF-16 has one in each space and each end of a line. Read in the wrong order, an end of a line is U+0A00,
// which is no character, and ASCII is Chinese.
func guessUTF16(text []byte, whole bool) Encoding {
	if bytes.IndexByte(text, 0) < 0 || whole && len(text)%2 != 0 {
		return ""
	}
	little := readWide(text, func(b []byte) rune { return rune(b[0]) | rune(b[1])<<8 })
	big := readWide(text, func(b []byte) rune { return rune(b[1]) | rune(b[0])<<8 })
	switch {
	case little.bad == 0 && (big.bad > 0 || little.plain > 4*big.plain):
		return UTF16LE
	case big.bad == 0 && (little.bad > 0 || big.plain > 4*little.plain):
		return UTF16BE
	}
	return ""
}

func readWide(text []byte, unit func([]byte) rune) (w wide) {
	for i := 0; i+1 < len(text); i += 2 {
		r := unit(text[i:])
		if utf16.IsSurrogate(r) {
			if i+3 >= len(text) {
				break
			}
			r = utf16.DecodeRune(r, unit(text[i+2:]))
			i += 2
		}
		switch {
		case !isText(r):
			w.bad++
		case r < utf8.RuneSelf:
			w.plain++
		}
	}
	return w
}
