// Package textfile reads the small text files that settings name: tokens, keys, credentials, codes, prompts, scripts.
//
// Editors on Windows begin a file with a byte order mark, and PowerShell's > writes UTF-16. Neither can be seen in an
// editor. [Read] gives the text that was meant, as UTF-8, or an error that names the cause. Files of questions are
// internal/charset's: they are large, and come in more encodings. It imports the standard library alone.
package textfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxSize bounds a file. The largest, a certificate bundle, has some 250 KB.
const MaxSize = 16 << 20

// Read gives the text of a file as [Decode] does. The error never holds any of it.
func Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, MaxSize)
	}
	text, err := Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

var (
	errNUL    = errors.New("there are NUL bytes in it, as in a file that is UTF-16 without a byte order mark: save it as UTF-8")
	errBroken = errors.New("it begins as UTF-16 and is none: save it as UTF-8")
)

// Decode takes a byte order mark off, and makes UTF-8 of UTF-16 that has one. UTF-16 without a mark is an error, as is
// any other text with a NUL.
func Decode(raw []byte) ([]byte, error) {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(raw, []byte("\xff\xfe")):
		order = binary.LittleEndian
	case bytes.HasPrefix(raw, []byte("\xfe\xff")):
		order = binary.BigEndian
	default:
		raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
		if bytes.IndexByte(raw, 0) >= 0 {
			return nil, errNUL
		}
		return raw, nil
	}
	if len(raw)%2 != 0 {
		return nil, errBroken
	}
	text := make([]byte, 0, len(raw))
	for units := raw[2:]; len(units) > 0; units = units[2:] {
		r := rune(order.Uint16(units))
		if utf16.IsSurrogate(r) {
			if len(units) >= 4 {
				r = utf16.DecodeRune(r, rune(order.Uint16(units[2:])))
				units = units[2:]
			}
			if r == utf8.RuneError || utf16.IsSurrogate(r) {
				return nil, errBroken
			}
		}
		if r == 0 {
			return nil, errNUL
		}
		text = utf8.AppendRune(text, r)
	}
	return text, nil
}
