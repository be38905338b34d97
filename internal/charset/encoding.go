package charset

import (
	"fmt"
	"strings"
)

// Encoding is a character encoding.
type Encoding string

// The encodings.
const (
	UTF8    Encoding = "utf-8"
	GB18030 Encoding = "gb18030"
	UTF16LE Encoding = "utf-16le"
	UTF16BE Encoding = "utf-16be"
)

// names maps their common names, in lower case and without - and _.
var names = map[string]Encoding{
	"utf8": UTF8, "utf8sig": UTF8,
	"gb18030": GB18030, "gbk": GB18030, "gb2312": GB18030, "cp936": GB18030,
	"utf16le": UTF16LE,
	"utf16be": UTF16BE,
}

// Parse finds an encoding by its name. GBK and GB2312 are read as GB18030, which contains them; "utf-16" alone names no
// byte order and is refused.
func Parse(name string) (Encoding, error) {
	plain := strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
	if e, ok := names[plain]; ok {
		return e, nil
	}
	if plain == "utf16" {
		return "", fmt.Errorf("%q, want utf-16le (as Windows writes it) or utf-16be", name)
	}
	return "", fmt.Errorf("%q, want utf-8, gb18030 (also gbk), utf-16le or utf-16be", name)
}

// String is the encoding's usual name: UTF-8, GB18030, UTF-16LE.
func (e Encoding) String() string { return strings.ToUpper(string(e)) }

// marks are the byte order marks: U+FEFF in each encoding.
var marks = []struct {
	encoding Encoding
	bytes    string
}{
	{UTF8, "\xef\xbb\xbf"},
	{UTF16LE, "\xff\xfe"},
	{UTF16BE, "\xfe\xff"},
	{GB18030, "\x84\x31\x95\x33"},
}

// Mark returns the encoding of a byte order mark at the beginning and its length, or "" and 0.
func Mark(head []byte) (Encoding, int) {
	for _, m := range marks {
		if strings.HasPrefix(string(head[:min(len(head), len(m.bytes))]), m.bytes) {
			return m.encoding, len(m.bytes)
		}
	}
	return "", 0
}
