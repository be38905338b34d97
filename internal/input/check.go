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

	"github.com/cozeq/cozeq/internal/spreadsheet"
	"github.com/cozeq/cozeq/internal/usage"
)

// Stats is what Check counts of an input.
type Stats struct {
	Rows    int
	SHA256  string   // of the file as it is, in hex
	Text    int64    // bytes of the questions
	Files   int      // of this machine, to upload
	Carried int64    // bytes of the custom_ids, and of the cells that go into the output
	Ignored []string // fields of rows in the format of OpenAI's batches that are left to the bot

	Dropped []string // fields that a bot does not support and that are left out

	StandIns []string // names of columns or fields that are used as the question, as none has its name
}

// Check reads the whole input once and reports all errors together, repeated custom_ids included, as an *InvalidInput. An
// input without any row is an error, too.
func (in *Input) Check(ctx context.Context) (Stats, error) {
	if in.stats != nil {
		return *in.stats, nil
	}
	digest, blocks := sha256.New(), new(blockWriter)
	content := io.TeeReader(cancelable{ctx, in.file.content()}, io.MultiWriter(digest, blocks))
	invalid := &InvalidInput{}
	ids := newSeenIDs()
	stats := Stats{}
	for row, err := range in.reader.rows(ctx, content) {
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
		if max := in.options.Requests; max.tooMany(row.N) {
			invalid.add(in.file.problem(row.Line, "more than %s requests: split the file", grouped(max.MaxRows)))
			break // what follows is not worth reading
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
		if what := ids.add(row); what != "" {
			invalid.add(in.file.problem(row.Line, "%s", what))
		}
	}
	if stats.Rows == 0 && invalid.Total == 0 {
		invalid.add(in.file.problem(0, "there is no question in it"))
	}
	if invalid.Total > 0 {
		return Stats{}, invalid
	}
	if in.file.checked != nil { // of an xlsx, whose rows were not read from content
		content = io.TeeReader(cancelable{ctx, in.file.content()}, digest)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return Stats{}, in.file.readError(err)
	}
	slices.Sort(stats.Ignored)
	slices.Sort(stats.Dropped)
	stats.SHA256 = hex.EncodeToString(digest.Sum(nil))
	in.stats = &stats
	if in.file.checked == nil {
		in.file.checked = blocks.blocks()
	}
	return stats, nil
}

// seenIDs are the rows by their custom_ids. Of an id a hash of 64 bits is kept: at a million rows, one in forty million inputs
// would be refused for a repetition that is none.
type seenIDs struct {
	seed maphash.Seed
	rows map[uint64]uint32
}

func newSeenIDs() seenIDs { return seenIDs{maphash.MakeSeed(), make(map[uint64]uint32)} }

// add says if another row has the row's custom_id; "" = none.
func (s seenIDs) add(row *Row) (wrong string) {
	h := maphash.String(s.seed, row.CustomID)
	if n, repeated := s.rows[h]; repeated {
		return fmt.Sprintf("custom_id %q is repeated: row %d has it too", row.CustomID, n)
	}
	s.rows[h] = uint32(row.N)
	return ""
}

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
	for name, value := range row.Chat.Parameters {
		if row.Chat.IsWorkflow() {
			s.Text += int64(len(name) + len(value))
		}
	}
	s.Files += len(row.Paths())
	s.Carried += int64(len(row.CustomID))
	for _, cell := range row.Columns {
		s.Carried += int64(len(cell))
	}
	for name, value := range row.carried {
		s.Carried += int64(len(name) + len(value))
	}
}

// FitsSheet checks that an xlsx has room for the input. Texts that are too long are an *InvalidInput.
func (in *Input) FitsSheet(ctx context.Context) error {
	if in.fits {
		return nil
	}
	stats, err := in.Check(ctx)
	if err != nil {
		return err
	}
	if stats.Rows >= spreadsheet.MaxRows {
		return &usage.Error{
			What: fmt.Sprintf("%s has %d rows, and an .xlsx takes %d", in.file.name, stats.Rows, spreadsheet.MaxRows-1),
			Hint: "write to a .csv",
		}
	}
	c, err := in.OutputColumns(ctx)
	if err != nil {
		return err
	}
	invalid := &InvalidInput{}
	for row, err := range in.Rows() {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for i, cell := range c.Cells(row) {
			if err := spreadsheet.Fits(cell); err != nil {
				invalid.add(in.file.problem(row.Line, "%s: %v: write to a .csv or .jsonl", c.Names[i], err))
			}
		}
	}
	if invalid.Total > 0 {
		return invalid
	}
	in.fits = true
	return nil
}
