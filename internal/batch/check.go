package batch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
)

// Stats is what Check found out about an input.
type Stats struct {
	Rows   int
	SHA256 string // of the file as it is, in hex
}

// Check reads the whole input once and reports everything that is wrong with it, repeated custom_ids included, as an
// *InvalidInput. An input without any row is wrong, too.
func (in *Input) Check(ctx context.Context) (Stats, error) {
	if in.stats != nil {
		return *in.stats, nil
	}
	digest := sha256.New()
	content := io.TeeReader(in.content(), digest)
	invalid := &InvalidInput{}
	// A custom_id is kept as a hash of 64 bits: at a million rows one in forty million inputs would be told of a
	// repetition that is none.
	seed := maphash.MakeSeed()
	first := make(map[uint64]uint32)
	rows := 0
	for row, err := range in.rows(content) {
		if ctx.Err() != nil {
			return Stats{}, context.Cause(ctx)
		}
		if problem, ok := errors.AsType[*Problem](err); ok {
			invalid.add(problem)
			continue
		}
		if err != nil {
			return Stats{}, err
		}
		rows++
		h := maphash.String(seed, row.CustomID)
		if n, repeated := first[h]; repeated {
			invalid.add(in.problem(row.Line, "custom_id %q is repeated: row %d has it too", row.CustomID, n))
			continue
		}
		first[h] = uint32(row.N)
	}
	if rows == 0 && invalid.Total == 0 {
		invalid.add(in.problem(0, "there is no question in it"))
	}
	if invalid.Total > 0 {
		return Stats{}, invalid
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return Stats{}, fmt.Errorf("read %s: %w", in.name, err)
	}
	in.stats = &Stats{Rows: rows, SHA256: hex.EncodeToString(digest.Sum(nil))}
	return *in.stats, nil
}
