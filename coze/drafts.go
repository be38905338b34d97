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
	last  delta
}

type draft struct {
	id    []byte // as on the wire
	parts [2]chunks
}

// chunks are contents of JSON strings, one behind the other, each twice as long as the one before, up to lastChunk. A slice
// that grows by append would be copied again and again: that was nine tenths of the garbage of an open stream
// (BenchmarkMemory).
type chunks [][]byte

const firstChunk, lastChunk = 256, 2 << 10 // bytes

func (c *chunks) add(piece []byte) {
	for len(piece) > 0 {
		last := len(*c) - 1
		if last < 0 || len((*c)[last]) == cap((*c)[last]) {
			size := firstChunk
			if last >= 0 {
				size = min(2*cap((*c)[last]), lastChunk)
			}
			*c = append(*c, make([]byte, 0, size))
			last++
		}
		room := (*c)[last]
		n := min(len(piece), cap(room)-len(room))
		(*c)[last], piece = append(room, piece[:n]...), piece[n:]
	}
}

func (c chunks) size() (n int) {
	for _, one := range c {
		n += len(one)
	}
	return n
}

// The parts of a message.
const (
	ofText = iota
	ofReasoning
)

// delta is what one delta has in common with the next: all but the piece. Most of an answer is such deltas. To compare them
// instead of reading each makes a whole stream 2.5 times as fast (BenchmarkDecode).
type delta struct {
	before, after []byte // the piece, with its quotes
	of            *draft // nil: none
	part          int
}

// piece is the piece of a delta like this one.
func (d *delta) piece(data []byte) (piece []byte, ok bool) {
	from, to := len(d.before), len(data)-len(d.after)
	if d.of == nil || from > to || !bytes.HasPrefix(data, d.before) || !bytes.HasSuffix(data, d.after) {
		return nil, false
	}
	return data[from:to], stringEnd(data, from-1) == to+1
}

// gather adds a delta. It allocates only for what it keeps.
func (d *drafts) gather(data []byte) {
	if piece, ok := d.last.piece(data); ok {
		d.last.of.parts[d.last.part].add(d.fitting(d.last.part, piece))
		return
	}
	o := object{b: data}
	var id, kind, role []byte
	var pieces [2][]byte
	var ends [2]int
	for o.next() {
		switch string(o.name) {
		case "id":
			id = o.value
		case "type":
			kind = o.value
		case "role":
			role = o.value
		case "content":
			pieces[ofText], ends[ofText] = inside(o.value), o.at-1
		case "reasoning_content":
			pieces[ofReasoning], ends[ofReasoning] = inside(o.value), o.at-1
		}
	}
	if o.err != nil {
		return // the completed message counts
	}
	if string(kind) != `"answer"` || len(role) > 0 && string(role) != `"assistant"` {
		pieces[ofText] = nil
	}
	part := ofText
	if len(pieces[ofText]) == 0 {
		part = ofReasoning
	}
	alone := len(pieces[1-part]) == 0
	for i := range pieces {
		pieces[i] = d.fitting(i, pieces[i])
	}
	if len(pieces[ofText])+len(pieces[ofReasoning]) == 0 {
		return
	}
	open := d.of(id)
	for i, piece := range pieces {
		open.parts[i].add(piece)
	}
	if alone {
		end := ends[part]
		begin := end - len(pieces[part])
		d.last = delta{append(d.last.before[:0], data[:begin]...), append(d.last.after[:0], data[end:]...), open, part}
	}
}

// inside is a JSON string without its quotes, nil for any other value.
func inside(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	return value[1 : len(value)-1]
}

// fitting counts a piece. The first piece over the limit and all after it are dropped, so that no gap arises.
func (d *drafts) fitting(part int, piece []byte) []byte {
	if d.sizes[part] += len(piece); d.sizes[part] <= d.limit {
		return piece
	}
	d.sizes[part] = d.limit + 1
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
			d.open, d.last.of = slices.Delete(d.open, i, i+1), nil
			for part := range d.sizes {
				d.sizes[part] = max(0, d.sizes[part]-open.parts[part].size())
			}
			return unescaped(open.parts[ofReasoning])
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
			Content: unescaped(open.parts[ofText]), ReasoningContent: unescaped(open.parts[ofReasoning]),
		})
	}
	return all
}

// unescaped decodes the content of a JSON string. An escape cut in half at its end is dropped.
func unescaped(c chunks) string {
	raw := bytes.Join(c, nil)
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
	if all := rest[at+len(content):]; len(all) > open.parts[ofText].size() {
		open.parts[ofText] = chunks{bytes.Clone(all)}
	}
}
