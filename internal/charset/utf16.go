package charset

import (
	"bytes"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// wide counts what a text looks like when read as UTF-16 in one byte order.
type wide struct {
	plain int  // ASCII characters
	ends  int  // of these, CR and LF
	bad   int  // half surrogates, unassigned characters, control characters
	han   bool // Chinese characters
	split bool // has characters whose high byte is CR or LF: Gurmukhi, Gujarati, Malayalam, Sinhala
}

// guessUTF16 detects UTF-16 without a mark; "" if it is not UTF-16 or not certain. A NUL alone proves nothing: any file may
// have a stray one. Readable characters prove nothing either: nearly every two bytes are some Chinese character ("question"
// is 煵敳瑩潮). UTF-16 has line ends of two bytes, and:
//
//   - If the bytes are also text in UTF-8, it is widened ASCII: at least every fourth byte is a NUL.
//   - If the bytes are Chinese text in GB18030, they are GB18030: no UTF-16 looks like that.
//   - No character has CR or LF as its high byte beside Chinese ones: that would be a line end of a single-byte text
//     together with a letter. In the wrong byte order a line end is U+0A00, which is unassigned.
func guessUTF16(text []byte, whole bool) Encoding {
	nuls := bytes.Count(text, []byte{0})
	if nuls == 0 || whole && len(text)%2 != 0 {
		return ""
	}
	switch narrow := validUTF8(text, whole) && controls(text)*10 < len(text); {
	case narrow && nuls*4 < len(text), !narrow && readGB(text).probablyAll():
		return ""
	}
	little := readWide(text, func(b []byte) rune { return rune(b[0]) | rune(b[1])<<8 })
	big := readWide(text, func(b []byte) rune { return rune(b[1]) | rune(b[0])<<8 })
	switch {
	case little.isText() && (!big.isText() || little.plain > 4*big.plain):
		return UTF16LE
	case big.isText() && (!little.isText() || big.plain > 4*little.plain):
		return UTF16BE
	}
	return ""
}

// controls counts control characters except NUL and white space. Cyrillic in UTF-16 is valid UTF-8 with U+0004 as every
// second character.
func controls(text []byte) (n int) {
	for _, b := range text {
		if b < ' ' && b != 0 && b != '\t' && b != '\n' && b != '\r' {
			n++
		}
	}
	return n
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
		switch high := r >> 8; {
		case !isText(r):
			w.bad++
		case r == '\n' || r == '\r':
			w.plain++
			w.ends++
		case r < utf8.RuneSelf:
			w.plain++
		case high == '\n' || high == '\r':
			w.split = true
		case unicode.Is(unicode.Han, r):
			w.han = true
		}
	}
	return w
}

// isText reports whether a person may have written the character.
func (w wide) isText() bool { return w.bad == 0 && w.ends > 0 && !(w.han && w.split) }
