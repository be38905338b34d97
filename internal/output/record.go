package output

import (
	"bytes"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

// EncodeRecord is a row's record as it stands in a .jsonl OUTPUT and in the journal.
func EncodeRecord(res *results.Result, row *input.Row) ([]byte, error) {
	line, err := res.Encode()
	if err != nil {
		return nil, err
	}
	if row.Request != nil {
		if line, err = appendResponse(row.Request, line, res); err != nil {
			return nil, err
		}
	}
	rest, err := row.Passthrough()
	if rest == nil || err != nil {
		return line, err
	}
	line = append(bytes.TrimSuffix(line, []byte("}")), `,"input":`...)
	return append(append(line, rest...), '}'), nil
}
