package coze

import (
	"bytes"
	"encoding/json"
	"slices"
)

// drafts collects the deltas of messages that have not completed: the model's reasoning, which the completed message
// does not repeat, and the text of an answer, which is all there is if the chat ends before the message completes.
//
// Nearly all of it is dropped unused, so pieces are kept as they are on the wire, escaped, and decoded only when used.
type drafts struct {
	limit int // bytes of text, and as many of reasoning, of all messages together
	open  []*draft
	sizes [2]int
}

type draft struct {
	id              []byte // as on the wire
	text, reasoning []byte // contents of JSON strings, concatenated
}

// gather adds a delta. It allocates only for what it keeps.
func (d *drafts) gather(data []byte) {
	o := object{b: data}
	var id, kind, role, text, reasoning []byte
	for o.next() {
		switch string(o.name) {
		case "id":
			id = o.value
		case "type":
			kind = o.value
		case "role":
			role = o.value
		case "content":
			text = inside(o.value)
		case "reasoning_content":
			reasoning = inside(o.value)
		}
	}
	if o.err != nil {
		return // the completed message counts
	}
	if string(kind) != `"answer"` || len(role) > 0 && string(role) != `"assistant"` {
		text = nil
	}
	text, reasoning = d.fitting(0, text), d.fitting(1, reasoning)
	if len(text)+len(reasoning) == 0 {
		return
	}
	open := d.of(id)
	open.text = append(open.text, text...)
	open.reasoning = append(open.reasoning, reasoning...)
}

// inside is a JSON string without its quotes, nil for any other value.
func inside(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	return value[1 : len(value)-1]
}

// fitting counts a piece. The first piece over the limit and all after it are dropped, so that no gap arises.
func (d *drafts) fitting(which int, piece []byte) []byte {
	if d.sizes[which] += len(piece); d.sizes[which] <= d.limit {
		return piece
	}
	d.sizes[which] = d.limit + 1
	return nil
}

func (d *drafts) of(id []byte) *draft {
	for _, open := range d.open {
		if bytes.Equal(open.id, id) {
			return open
		}
	}
	open := &draft{id: bytes.Clone(id)}
	d.open = append(d.open, open)
	return open
}

// complete drops a message's draft and returns the reasoning in it.
func (d *drafts) complete(id string) (reasoning string) {
	for i, open := range d.open {
		if idOf(open.id) == id {
			d.open = slices.Delete(d.open, i, i+1)
			d.sizes[0] = max(0, d.sizes[0]-len(open.text))
			d.sizes[1] = max(0, d.sizes[1]-len(open.reasoning))
			return unescaped(open.reasoning)
		}
	}
	return ""
}

// messages are the answers that began and did not complete.
func (d *drafts) messages() []Message {
	var all []Message
	for _, open := range d.open {
		all = append(all, Message{
			ID: idOf(open.id), Role: RoleAssistant, Type: MessageAnswer, ContentType: ContentText,
			Content: unescaped(open.text), ReasoningContent: unescaped(open.reasoning),
		})
	}
	return all
}

// unescaped decodes the content of a JSON string. An escape cut in half at its end is dropped.
func unescaped(raw []byte) string {
	for range len(`\ud83d\ude42`) {
		quoted := append(append([]byte{'"'}, raw...), '"')
		var s string
		if json.Unmarshal(quoted, &s) == nil || len(raw) == 0 {
			return s
		}
		raw = raw[:len(raw)-1]
	}
	return ""
}

// torn adds a message whose event is over the size limit; block is its beginning.
func (d *drafts) torn(block []byte) {
	_, data, found := bytes.Cut(block, []byte("data:"))
	if !found {
		return
	}
	o := object{b: bytes.TrimLeft(data, " ")}
	var id []byte
	for o.next() {
		if string(o.name) == "id" {
			id = o.value
		}
	}
	rest := o.b[o.at:]
	const content = `"content":"`
	at := bytes.Index(rest, []byte(content))
	if at < 0 || !bytes.Contains(o.b[:o.at], []byte(`"answer"`)) {
		return
	}
	open := d.of(id)
	if text := rest[at+len(content):]; len(text) > len(open.text) {
		open.text = bytes.Clone(text)
	}
}
