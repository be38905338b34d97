package coze

import (
	"bytes"
	"encoding/json"
	"slices"
)

// drafts gathers what deltas tell of messages that have not completed: a model's reasoning, which the completed message
// does not repeat, and the text of an answer, which is all there is of it if the chat ends before the message does.
//
// Nearly all of it is dropped unread, so a piece is kept as it stands on the wire, escaped; only what is used is decoded.
type drafts struct {
	limit int // bytes of text, and as many of reasoning, of all messages together
	open  []*draft
	sizes [2]int
}

type draft struct {
	id              []byte // as it stands
	text, reasoning []byte // the insides of JSON strings, one behind the other
}

// gather takes in a delta. It costs no allocation but for what it keeps.
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
		return // the completed message is what counts
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

// fitting counts a piece. The first that is over the limit is dropped, and all that follow: what is kept has no gaps.
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

// messages are the answers that have begun and not completed.
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

// unescaped decodes the inside of a JSON string. One that was cut within an escape loses that.
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

// torn takes in a message of which only the beginning came, as its event is over the limit: block is that.
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
