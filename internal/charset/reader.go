package charset

import (
	"bytes"
	"io"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// NewReader reads r, which begins behind any mark, as UTF-8. Bytes that are no character come out as bytes that are no
// UTF-8. UTF-8 itself is passed on as it is.
func NewReader(r io.Reader, e Encoding) io.Reader {
	switch e {
	case GB18030:
		return transform.NewReader(r, &strict{simplifiedchinese.GB18030.NewDecoder(), []byte("\x84\x31\xa4\x37")})
	case UTF16LE:
		return transform.NewReader(r, &strict{wideDecoder(unicode.LittleEndian), []byte("\xfd\xff")})
	case UTF16BE:
		return transform.NewReader(r, &strict{wideDecoder(unicode.BigEndian), []byte("\xff\xfd")})
	}
	return r
}

func wideDecoder(order unicode.Endianness) *encoding.Decoder {
	return unicode.UTF16(order, unicode.IgnoreBOM).NewDecoder()
}

var (
	replacement = []byte("\ufffd")
	unreadable  = []byte("\xff\xff\xff") // as long as the replacement, so that it can take its place
)

// strict is a decoder that does not let errors pass for text. The decoders write U+FFFD for what they cannot read; but
// a file may hold U+FFFD itself, and then it says so with genuine.
type strict struct {
	*encoding.Decoder
	genuine []byte // U+FFFD in the encoding
}

// Transform implements transform.Transformer. A piece that has both U+FFFD and an error is marked at both places: that
// is one more in a line that is not in order anyway.
func (s *strict) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	nDst, nSrc, err = s.Decoder.Transform(dst, src, atEOF)
	written := dst[:nDst]
	if n := bytes.Count(written, replacement); n > 0 && n != bytes.Count(src[:nSrc], s.genuine) {
		copy(written, bytes.ReplaceAll(written, replacement, unreadable))
	}
	return nDst, nSrc, err
}
