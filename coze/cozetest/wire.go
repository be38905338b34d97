package cozetest

import (
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// The wire forms are appended by hand: as a server of benchmarks the fake should
// cost less than the client that it measures, and reflection would not.

const hex = "0123456789abcdef"

// appendString appends s as a JSON string, non-ASCII characters raw as Coze
// sends them, invalid UTF-8 replaced.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			dst = append(append(dst, s[from:i]...), "\ufffd"...)
			i++
			from = i
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// appendMeta appends a map with its keys sorted: equal calls, equal bytes.
func appendMeta(dst []byte, m map[string]string) []byte {
	dst = append(dst, '{')
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, k), ':')
		dst = appendString(dst, m[k])
	}
	return append(dst, '}')
}

func appendError(dst []byte, code int, msg string) []byte {
	return append(appendEnvelope(dst, code, msg), '}')
}

// appendEnvelope appends what stands before a reply's data; the caller appends
// the data and appendDetail.
func appendEnvelope(dst []byte, code int, msg string) []byte {
	dst = strconv.AppendInt(append(dst, `{"code":`...), int64(code), 10)
	return appendString(append(dst, `,"msg":`...), msg)
}

func appendDetail(dst []byte, logID string) []byte {
	return append(appendString(append(dst, `,"detail":{"logid":`...), logID), "}}"...)
}

// usage counts tokens as a rule of thumb does: four characters each.
type usage struct{ input, output int }

func tokens(s string) int {
	if s == "" {
		return 0
	}
	return max(1, utf8.RuneCountInString(s)/4)
}

func (u usage) append(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"token_count":`...), int64(u.input+u.output), 10)
	dst = strconv.AppendInt(append(dst, `,"output_count":`...), int64(u.output), 10)
	dst = strconv.AppendInt(append(dst, `,"input_count":`...), int64(u.input), 10)
	return append(dst, '}')
}
