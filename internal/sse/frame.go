package sse

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
)

// LastEventID is the id of the last event that the client has seen, "" for none: of the header, which browsers send when
// they come back, or of the query, for those that cannot set a header.
func LastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	return r.URL.Query().Get("last_event_id")
}

func checkField(name, value string) error {
	if strings.ContainsAny(value, "\r\n\x00") {
		return fmt.Errorf("%s %q of an event has a line break or a NUL", name, value)
	}
	return nil
}

func appendField(frame []byte, name, value string) []byte {
	if value == "" {
		return frame
	}
	frame = append(frame, name...)
	frame = append(frame, ": "...)
	frame = append(frame, value...)
	return append(frame, '\n')
}

// appendData ends a frame. Empty data has a line too: a browser passes over an event without.
func appendData(frame, data []byte) []byte {
	for {
		line, rest, more := cutLine(data)
		frame = append(frame, "data: "...)
		frame = append(frame, line...)
		frame = append(frame, '\n')
		if !more {
			return append(frame, '\n')
		}
		data = rest
	}
}

// cutLine cuts at the first end of a line, which is LF, CR or both.
func cutLine(data []byte) (line, rest []byte, more bool) {
	i := bytes.IndexAny(data, "\r\n")
	if i < 0 {
		return data, nil, false
	}
	line, rest = data[:i], data[i+1:]
	if data[i] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	return line, rest, true
}
