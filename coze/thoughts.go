package coze

import (
	"bytes"
	"slices"
	"strings"
)

// thoughts gathers models' reasoning from deltas, by message: the completed message does not repeat it.
type thoughts struct {
	limit, size int // bytes, of all messages together
	open        []*thought
}

type thought struct {
	id   string
	text strings.Builder
}

var reasoningKey = []byte(`"reasoning_content"`)

// hasReasoning reports whether a delta's data has a reasoning_content that is neither "" nor null. It does not decode:
// within a string of JSON the quotes of the key would be escaped, so the bytes tell.
func hasReasoning(data []byte) bool {
	for {
		i := bytes.Index(data, reasoningKey)
		if i < 0 {
			return false
		}
		data = bytes.TrimLeft(data[i+len(reasoningKey):], " \t\r\n")
		if len(data) == 0 || data[0] != ':' {
			continue
		}
		data = bytes.TrimLeft(data[1:], " \t\r\n")
		if !bytes.HasPrefix(data, []byte(`""`)) && !bytes.HasPrefix(data, []byte("null")) {
			return true
		}
	}
}

// gatherFrom takes the reasoning out of a delta that nobody reads; one that has none, nearly all, costs no allocation.
func (t *thoughts) gatherFrom(data []byte) {
	if !hasReasoning(data) {
		return
	}
	o := object{b: data}
	var id, text string
	for o.next() {
		switch string(o.name) {
		case "id":
			id = idOf(o.value)
		case "reasoning_content":
			text = textOf(o.value)
		}
	}
	if o.err == nil {
		t.add(id, text)
	}
}

func (t *thoughts) add(id, text string) {
	if text == "" || t.size+len(text) > t.limit {
		return
	}
	t.size += len(text)
	for _, open := range t.open {
		if open.id == id {
			open.text.WriteString(text)
			return
		}
	}
	open := &thought{id: id}
	open.text.WriteString(text)
	t.open = append(t.open, open)
}

// take returns a message's reasoning, once.
func (t *thoughts) take(id string) string {
	for i, open := range t.open {
		if open.id == id {
			t.open = slices.Delete(t.open, i, i+1)
			t.size -= open.text.Len()
			return open.text.String()
		}
	}
	return ""
}
