package charset

import (
	"unicode"
	"unicode/utf8"
)

// scripts whose characters have two bytes in UTF-8.
var scripts = []*unicode.RangeTable{
	unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian, unicode.Hebrew, unicode.Arabic, unicode.Syriac,
	unicode.Thaana, unicode.Nko,
}

// plausible reports whether valid UTF-8 was meant as UTF-8. The two bytes of a Chinese character may happen to be one
// character of UTF-8: "恰" is "ǡ". A long text does not consist of such pairs only; in a short one they give characters of
// unrelated scripts, rare letters, or no letters at all. A character of three or four bytes is certainly UTF-8: as GB18030
// it would be half of one character and half of another.
func plausible(text []byte) bool {
	var script *unicode.RangeTable
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		i += size
		switch {
		case size == 1:
			continue
		case size > 2:
			return true
		case r < 0xa0 || r >= 0x180 && r < 0x370: // controls; Latin letters of few languages, phonetics, accents
			return false
		}
		for _, s := range scripts {
			if !unicode.Is(s, r) || s == unicode.Latin {
				continue
			}
			if script != nil && script != s {
				return false
			}
			script = s
		}
	}
	return true
}

// isText reports whether the character can be part of a text.
func isText(r rune) bool {
	return r != utf8.RuneError && (unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) || r == '\t' || r == '\n' || r == '\r')
}
