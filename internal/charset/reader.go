package charset

import (
	"bytes"
	"io"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// NewReader reads r, which begins after any byte order mark, as UTF-8. An undecodable byte comes out as invalid UTF-8. UTF-8
// itself passes unchanged.
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
	unreadable  = []byte("\xff\xff\xff") // as long as U+FFFD, to replace it in place
)

// strict is a decoder whose errors do not pass for text. x/text's decoders write U+FFFD for an undecodable byte; a genuine
// U+FFFD of the file is recognised by its bytes.
type strict struct {
	*encoding.Decoder
	genuine []byte // U+FFFD in the encoding
}

// Transform implements transform.Transformer. A chunk with both a genuine U+FFFD and an error is marked at both: its line is
// bad anyway.
func (s *strict) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	nDst, nSrc, err = s.Decoder.Transform(dst, src, atEOF)
	written := dst[:nDst]
	if n := bytes.Count(written, replacement); n > 0 && n != bytes.Count(src[:nSrc], s.genuine) {
		copy(written, bytes.ReplaceAll(written, replacement, unreadable))
	}
	return nDst, nSrc, err
}
