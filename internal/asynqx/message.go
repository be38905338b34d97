package asynqx

import (
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// textFields of asynq's message must be UTF-8, or its decoder refuses it.
var textFields = []protowire.Number{1, 3, 4, 7, 10, 14}

// Message reads what names a task in asynq's message (asynq v0.26, internal/proto). It
// refuses what asynq's own decoder refuses.
func Message(raw string) (id, queue string, ok bool) {
	const fieldID, fieldQueue = 3, 4
	for b := []byte(raw); len(b) > 0; {
		field, kind, n := protowire.ConsumeField(b)
		if n < 0 {
			return "", "", false
		}
		_, _, tag := protowire.ConsumeTag(b)
		if kind == protowire.BytesType && slices.Contains(textFields, field) {
			text, _ := protowire.ConsumeString(b[tag:])
			if !utf8.ValidString(text) {
				return "", "", false
			}
			switch field {
			case fieldID:
				id = text
			case fieldQueue:
				queue = text
			}
		}
		b = b[n:]
	}
	return id, queue, id != "" && queue != ""
}

// belongs reports whether a message can be read and is of the queue that it was found in.
func belongs(raw, pending string) bool {
	_, queue, ok := Message(raw)
	return ok && Key(queue, "pending") == pending
}
