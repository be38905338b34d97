package coze

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// A test of the decoder itself: through a stream, most of what it could do wrong would be hidden by what is left out.

// parsed is a frame that outlives the decoder's buffer.
type parsed struct {
	name EventType
	data string
	bare bool
}

func decodeAll(t testing.TB, r io.Reader, limit int) ([]parsed, error) {
	t.Helper()
	d := newDecoder(r, limit)
	defer d.release()
	var all []parsed
	for {
		f, err := d.next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if len(f.data) > limit {
			t.Fatalf("data of %d bytes over the limit of %d", len(f.data), limit)
		}
		all = append(all, parsed{f.name, string(f.data), f.bare})
	}
}

// reference does the same in the plainest way, over the whole text at once.
func reference(text string) (all []parsed) {
	text = strings.TrimPrefix(text, "\ufeff")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	ended := lines[:len(lines)-1] // the last has no line end
	var name EventType
	var data []string
	open := false
	take := func(line string) {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case field == "data":
			data, open = append(data, value), true
		case field == "event":
			name, open = eventType([]byte(value)), true
		case !open && line[0] == '{':
			all = append(all, parsed{data: line, bare: true})
		}
	}
	flush := func(end bool) {
		joined := strings.Join(data, "\n")
		if data != nil && (!end || json.Valid([]byte(joined)) || string(bytes.TrimSpace([]byte(joined))) == "[DONE]") {
			all = append(all, parsed{name, joined, false})
		}
		name, data, open = "", nil, false
	}
	for _, line := range ended {
		if line == "" {
			flush(false)
		} else {
			take(line)
		}
	}
	if rest := lines[len(lines)-1]; rest != "" {
		take(rest)
	}
	flush(true)
	return all
}

func FuzzSSE(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "\ufeffdata:1\n\n", "\ufeff\ndata:1\n\n", "\ufeff:c\n\ndata:1\n\n", "event:done\ndata:\"[DONE]\"", "data: a\rdata:  b\r\r", "data\r\ndata\r\n\r\n",
		"event:x\n\ndata:{\"a\":\r\ndata:1}\revent:error\nid:1\n\n", "{\"code\":4101}", "data:1\n{\"code\":1}\n\n{", "\xef\xbb", "data:\n\n",
		":" + strings.Repeat("c", 600) + "\n\ndata:x\n\n", "event:conversation.message.delta\ndata:{}\n\n", "data:[DONE]", "\r\n\r", "data:x\r\n\n",
	} {
		f.Add(seed, uint16(300))
	}
	f.Add("\ufeff", uint16(0))
	f.Fuzz(func(t *testing.T, text string, room uint16) {
		limit := int(room) + 1
		whole, errWhole := decodeAll(t, strings.NewReader(text), limit)
		for name, r := range map[string]io.Reader{
			"one byte": iotest.OneByteReader(strings.NewReader(text)), "half": iotest.HalfReader(strings.NewReader(text)),
			"with EOF": iotest.DataErrReader(strings.NewReader(text)),
		} {
			got, err := decodeAll(t, r, limit)
			if !slices.Equal(got, whole) || (err == nil) != (errWhole == nil) {
				t.Fatalf("%s: %+v, %v; at once: %+v, %v", name, got, err, whole, errWhole)
			}
		}
		if errWhole != nil && !errors.Is(errWhole, ErrEventTooLarge) {
			t.Fatal(errWhole)
		}
		want := reference(text)
		if errWhole != nil {
			if len(text) <= limit {
				t.Fatalf("too large: %d bytes of %d", len(text), limit)
			}
			if len(whole) > len(want) {
				t.Fatalf("%+v, want a beginning of %+v", whole, want)
			}
			want = want[:len(whole)]
		}
		if !slices.Equal(whole, want) {
			t.Fatalf("%+v\nwant %+v", whole, want)
		}
	})
}

// The limit is of one event; what is ignored between events may be of any length, and any number of events may pass.
func TestLimit(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		name, text string
		events     int
		err        error
	}{
		{"comment", ":" + long + "\n\ndata:1\n\n", 1, nil},
		{"many", strings.Repeat("data:1\n\n", 20_000), 20_000, nil},
		{"data", "data:1\n\ndata:" + long + "\n\n", 1, ErrEventTooLarge},
		{"lines of data", "data:1\n\n" + strings.Repeat("data:12345678\n", 1_000), 1, ErrEventTooLarge},
		{"comments within an event", "data:1\n\ndata:2\n" + strings.Repeat(":12345678\n", 1_000), 1, ErrEventTooLarge},
		{"unknown field", "foo:" + long + "\n", 0, ErrEventTooLarge},
		{"no line at all", long, 0, ErrEventTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.text), iotest.OneByteReader(strings.NewReader(tt.text))} {
				got, err := decodeAll(t, r, 5_000)
				if len(got) != tt.events || !errors.Is(err, tt.err) {
					t.Errorf("%d events, error %v", len(got), err)
				}
			}
		})
	}
}

// After a large event, or many at once, the buffer is the smallest again when all that has come is read: what a stream
// holds must not depend on its largest card.
func TestBufferShrinks(t *testing.T) {
	d := newDecoder(io.MultiReader(
		strings.NewReader("data:"+strings.Repeat("x", 1<<20)+"\n\n"+strings.Repeat("data:1\n\n", 999)),
		strings.NewReader("data:1\n\n"),
	), 2<<20)
	defer d.release()
	if f, err := d.next(); err != nil || len(f.data) != 1<<20 || len(d.buf) < 1<<20 {
		t.Fatalf("%d bytes in %d, %v", len(f.data), len(d.buf), err)
	}
	for range 1_000 {
		if _, err := d.next(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.next(); err != io.EOF { // it waited for more
		t.Fatal(err)
	}
	if len(d.buf) != waitBuffer {
		t.Errorf("the buffer has %d bytes", len(d.buf))
	}
}

func TestReaderWithoutProgress(t *testing.T) {
	if _, err := decodeAll(t, stuck{}, 100); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }
