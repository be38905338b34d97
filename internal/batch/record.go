package batch

import (
	"bytes"

	"github.com/cozeq/cozeq/results"
)

// encodeRecord is a row's record as it stands in a .jsonl OUTPUT and in the journal.
func encodeRecord(res *results.Result, row *Row) ([]byte, error) {
	line, err := res.Encode()
	if err != nil {
		return nil, err
	}
	if row.request != nil {
		if line, err = appendResponse(row.request, line, res); err != nil {
			return nil, err
		}
	}
	input, err := row.input()
	if input == nil || err != nil {
		return line, err
	}
	line = append(bytes.TrimSuffix(line, []byte("}")), `,"input":`...)
	return append(append(line, input...), '}'), nil
}
