package cozetest

import (
	"fmt"
	"slices"
	"strings"
)

// framing is the form of an event stream's lines. The zero value is Coze's:
// event:NAME, data:JSON, an empty line, all ended by LF, no space after a colon.
type framing struct {
	crlf, cr, mixed, space, bom, comments, multi, swap, bytes, noFinal bool
}

func parseFraming(s string) (framing, error) {
	var f framing
	if s == "" {
		return f, nil
	}
	flags := map[string]*bool{
		"crlf": &f.crlf, "cr": &f.cr, "mixed": &f.mixed, "space": &f.space, "bom": &f.bom,
		"comments": &f.comments, "multi": &f.multi, "swap": &f.swap, "bytes": &f.bytes, "nofinal": &f.noFinal,
	}
	for name := range strings.SplitSeq(s, ",") {
		flag := flags[strings.TrimSpace(name)]
		if flag == nil {
			return f, fmt.Errorf("lines %q; of crlf, cr, mixed, space, bom, comments, multi, swap, bytes, nofinal", name)
		}
		*flag = true
	}
	if f.crlf && f.cr || f.crlf && f.mixed || f.cr && f.mixed {
		return f, fmt.Errorf("lines %q: crlf, cr and mixed exclude each other", s)
	}
	return f, nil
}

// noise is what may stand between two events and means nothing. The ping is an
// event, of a name that is no part of a chat.
var noise = []string{":keep-alive", "id: 7", "retry: 3000", "foo: bar", "// note", "event: PING", `data: {"content":"{}"}`, "", ":", ""}

// append appends one event. The last event of a stream may lack its end.
func (f framing) append(dst []byte, name string, data []byte, first, last bool) []byte {
	eventEnd, dataEnd := "\n", "\n"
	switch {
	case f.crlf:
		eventEnd, dataEnd = "\r\n", "\r\n"
	case f.cr:
		eventEnd, dataEnd = "\r", "\r"
	case f.mixed:
		eventEnd = "\r\n"
	}
	space := ""
	if f.space {
		space = " "
	}
	if f.bom && first {
		dst = append(dst, "\ufeff"...)
	}
	if f.comments {
		for _, line := range noise {
			dst = append(append(dst, line...), dataEnd...)
		}
	}
	if !f.swap {
		dst = append(append(append(append(dst, "event:"...), space...), name...), eventEnd...)
	}
	lines := [][]byte{data}
	if f.multi {
		lines = splitJSON(data)
	}
	for i, line := range lines {
		dst = append(append(append(dst, "data:"...), space...), line...)
		if last && f.noFinal && i == len(lines)-1 && !f.swap {
			return dst
		}
		dst = append(dst, dataEnd...)
	}
	if f.swap {
		dst = append(append(append(append(dst, "event:"...), space...), name...), eventEnd...)
	}
	if last && f.noFinal {
		return dst
	}
	return append(dst, dataEnd...)
}

// splitJSON breaks JSON after its structural commas, where a line end changes
// nothing of its meaning.
func splitJSON(data []byte) [][]byte {
	var lines [][]byte
	quoted, from := false, 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			lines = append(lines, data[from:i+1])
			from = i + 1
		}
	}
	return slices.Clip(append(lines, data[from:]))
}
