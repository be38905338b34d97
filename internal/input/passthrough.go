package input

import (
	"bytes"

	"github.com/cozeq/cozeq/internal/messages"
)

// What a row holds beside its question is passed through to OUTPUT: to a table as columns, to a .jsonl as the record's
// field "input".

// input is what is carried as a JSON object, a table's columns in their order; nil if there is nothing.
func (r *Row) Passthrough() ([]byte, error) {
	if r.table == nil {
		if len(r.carried) == 0 {
			return nil, nil
		}
		return Marshal(r.carried)
	}
	var b bytes.Buffer
	for i, cell := range r.Columns {
		name := r.table.carried[i]
		if name == "" {
			continue // it is elsewhere in the record
		}
		key, err := Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := Marshal(cell)
		if err != nil {
			return nil, err
		}
		b.WriteByte("{,"[min(b.Len(), 1)])
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	if b.Len() == 0 {
		return nil, nil
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Marshal is json.Marshal, but leaves <, > and & as they are.
func Marshal(v any) ([]byte, error) { return messages.Encode(v) }
