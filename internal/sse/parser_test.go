package sse_test

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// event is what a reader gets of an event.
type event struct{ id, name, data string }

// read parses an event stream to its end as the HTML standard has it, but for what this package never writes: that is an
// error of the test.
func read(t testing.TB, r io.Reader) (events []event, comments int) {
	t.Helper()
	lines := bufio.NewReader(r)
	var e event
	var data []string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			if line != "" || e.name != "" || data != nil {
				t.Errorf("cut inside of a frame: %q", line)
			}
			return events, comments
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, ok := strings.Cut(line, ": ")
		switch {
		case line == "":
			if data == nil {
				t.Error("a frame without data")
			}
			e.data = strings.Join(data, "\n")
			events = append(events, e)
			e, data = event{id: e.id}, nil
		case strings.ContainsAny(line, "\r\x00") && field != "data", !ok:
			t.Errorf("line %q", line)
		case field == "":
			comments++
		case field == "id":
			e.id = value
		case field == "event":
			e.name = value
		case field == "data":
			data = append(data, value)
		case field != "retry" || len(events) > 0:
			t.Errorf("line %q", line)
		}
	}
}
