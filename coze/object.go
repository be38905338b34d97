package coze

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

var errNotObject = errors.New("it is not a JSON object")

// object reads the members of a JSON object one by one, undecoded, and checks that all of it is valid. A short answer is a
// dozen small objects and most of our own CPU: encoding/json looks at each byte three times, through a function call, and
// uses reflection for every field. The functions of decode.go read the values.
type object struct {
	b     []byte
	at    int   // end of what was read
	begun bool  // the opening brace was read
	err   error // why reading ended early

	// Of the member read last:
	quoted []byte // its name as on the wire
	name   []byte // its name in lower case, as Coze's names are
	value  []byte
}

// next moves to the next member; false means the end, or an error: see err. Null is an object without members.
func (o *object) next() bool {
	if o.err != nil {
		return false
	}
	ok, valid := o.member()
	if !valid {
		var raw json.RawMessage
		o.err = cmp.Or(json.Unmarshal(o.b, &raw), errNotObject) // it says what is wrong, and where
	}
	return ok && valid
}

func (o *object) member() (ok, valid bool) {
	b, i := o.b, skipSpace(o.b, o.at)
	first := !o.begun
	if first {
		o.begun = true
		if i < len(b) && b[i] == 'n' {
			end := literalEnd(b, i, "null")
			return false, end >= 0 && skipSpace(b, end) == len(b)
		}
		if i == len(b) || b[i] != '{' {
			return false, false
		}
		i = skipSpace(b, i+1)
	}
	if i < len(b) && b[i] == '}' {
		o.at = i
		return false, skipSpace(b, i+1) == len(b)
	}
	if !first {
		if i == len(b) || b[i] != ',' {
			return false, false
		}
		i = skipSpace(b, i+1)
	}
	end := stringEnd(b, i)
	if end < 0 {
		return false, false
	}
	o.quoted, o.name = b[i:end], memberName(b[i:end])
	if i = skipSpace(b, end); i == len(b) || b[i] != ':' {
		return false, false
	}
	i = skipSpace(b, i+1)
	if end = valueEnd(b, i, 1); end < 0 {
		return false, false
	}
	o.value, o.at = b[i:end], end
	return true, true
}

// memberName is a member's name without quotes, in lower case: self-hosted servers write some names with a capital.
func memberName(quoted []byte) []byte {
	name := quoted[1 : len(quoted)-1]
	for _, c := range name {
		if c == '\\' || c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return bytes.ToLower([]byte(textOf(quoted)))
		}
	}
	return name
}

// The functions below take the offset of a value and return the offset of its end, -1 if it is not valid JSON.

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// maxDepth is how deep values may be nested, as in encoding/json.
const maxDepth = 10000

func valueEnd(b []byte, i, depth int) int {
	if i == len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		if depth == maxDepth {
			return -1
		}
		return nestedEnd(b, i, depth+1)
	case 'n':
		return literalEnd(b, i, "null")
	case 't':
		return literalEnd(b, i, "true")
	case 'f':
		return literalEnd(b, i, "false")
	}
	return numberEnd(b, i)
}

// nestedEnd reads an object or an array.
func nestedEnd(b []byte, i, depth int) int {
	isObject, closing := b[i] == '{', b[i]+2 // in ASCII both closing brackets are the opening ones + 2
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == closing {
		return i + 1
	}
	for {
		if isObject {
			if i = stringEnd(b, i); i < 0 {
				return -1
			}
			if i = skipSpace(b, i); i == len(b) || b[i] != ':' {
				return -1
			}
			i = skipSpace(b, i+1)
		}
		if i = valueEnd(b, i, depth); i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		switch {
		case i == len(b):
			return -1
		case b[i] == closing:
			return i + 1
		case b[i] != ',':
			return -1
		}
		i = skipSpace(b, i+1)
	}
}

func literalEnd(b []byte, i int, literal string) int {
	if len(b)-i < len(literal) || string(b[i:i+len(literal)]) != literal {
		return -1
	}
	return i + len(literal)
}

func numberEnd(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = digitsEnd(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = digitsEnd(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digitsEnd(b, i)
	}
	return i
}

// digitsEnd reads at least one digit.
func digitsEnd(b []byte, i int) int {
	from := i
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

func stringEnd(b []byte, i int) int {
	if i == len(b) || b[i] != '"' {
		return -1
	}
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i++; i == len(b) {
				return -1
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(b)-i < 5 || !isHex(b[i+1]) || !isHex(b[i+2]) || !isHex(b[i+3]) || !isHex(b[i+4]) {
					return -1
				}
				i += 4
			default:
				return -1
			}
		}
	}
	return -1
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
