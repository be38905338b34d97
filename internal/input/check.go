package input

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
)

// Stats is what Check found out about an input.
type Stats struct {
	Rows    int
	SHA256  string   // of the file as it is, in hex
	Text    int64    // bytes of what is asked
	Carried int64    // bytes of the custom_ids, and of the cells that go into the output
	Ignored []string // what rows of the shape of OpenAI's batches ask for, and the bot decides

	Dropped []string // what rows have, a bot cannot be asked for, and is left out

	StandIns []string // names of columns or fields that were taken for the question, as there is none of its name
}

// Check reads the whole input once and reports everything that is wrong with it, repeated custom_ids included, as an
// *InvalidInput. An input without any row is wrong, too.
func (in *Input) Check(ctx context.Context) (Stats, error) {
	if in.stats != nil {
		return *in.stats, nil
	}
	digest, blocks := sha256.New(), newBlockWriter()
	content := io.TeeReader(heedful{ctx, in.content()}, io.MultiWriter(digest, blocks))
	invalid := &InvalidInput{}
	// A custom_id is kept as a hash of 64 bits: at a million rows one in forty million inputs would be told of a
	// repetition that is none.
	seed := maphash.MakeSeed()
	first := make(map[uint64]uint32)
	stats := Stats{}
	for row, err := range in.rows(ctx, content) {
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
		stats.Rows++
		stats.measure(row)
		for _, name := range row.ignored {
			stats.Ignored = with(stats.Ignored, name)
		}
		for _, name := range row.dropped {
			stats.Dropped = with(stats.Dropped, name)
		}
		if row.standIn != "" {
			stats.StandIns = with(stats.StandIns, row.standIn)
		}
		h := maphash.String(seed, row.CustomID)
		if n, repeated := first[h]; repeated {
			invalid.add(in.problem(row.Line, "custom_id %q is repeated: row %d has it too", row.CustomID, n))
			continue
		}
		first[h] = uint32(row.N)
	}
	if stats.Rows == 0 && invalid.Total == 0 {
		invalid.add(in.problem(0, "there is no question in it"))
	}
	if invalid.Total > 0 {
		return Stats{}, invalid
	}
	if in.blocks != nil { // of an xlsx, whose rows were not read from content
		content = io.TeeReader(heedful{ctx, in.content()}, digest)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return Stats{}, fmt.Errorf("read %s: %w", in.name, err)
	}
	slices.Sort(stats.Ignored)
	slices.Sort(stats.Dropped)
	stats.SHA256 = hex.EncodeToString(digest.Sum(nil))
	in.stats = &stats
	if in.blocks == nil {
		in.blocks = blocks.blocks()
	}
	return stats, nil
}

// with is the names and one more, each once.
func with(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

func (s *Stats) measure(row *Row) {
	for i := range row.Chat.AdditionalMessages {
		s.Text += int64(len(row.Chat.AdditionalMessages[i].Content))
	}
	s.Carried += int64(len(row.CustomID))
	for _, cell := range row.Columns {
		s.Carried += int64(len(cell))
	}
	for name, value := range row.carried {
		s.Carried += int64(len(name) + len(value))
	}
}
