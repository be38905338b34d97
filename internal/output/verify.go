package output

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"unicode"

	"github.com/cozeq/cozeq/internal/input"
)

// Verify reads the file back and checks that it holds exactly one record for each row, in the order of the input.
func Verify(ctx context.Context, in *input.Input, name string, format input.Format, compressed bool) error {
	c, err := in.OutputColumns(ctx)
	if err != nil {
		return err
	}
	as := string(format)
	if compressed {
		as += input.CompressedSuffix
	}
	next, stop := iter.Pull2(File{Path: name, format: as, ID: c.ID}.Records(ctx))
	defer stop()
	for row, err := range in.Rows() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		res, err, ok := next()
		switch {
		case err != nil:
			return err
		case !ok:
			return fmt.Errorf("row %d (custom_id %q) has no record", row.N, row.CustomID)
		case plainID(res.CustomID) != plainID(row.CustomID):
			return fmt.Errorf("the record of row %d has the custom_id %q, not %q", row.N, res.CustomID, row.CustomID)
		}
	}
	switch res, err, more := next(); {
	case err != nil:
		return err
	case more:
		return fmt.Errorf("there is a record too many, with custom_id %q", res.CustomID)
	}
	return nil
}

// plainID removes what a table does not preserve: white space, line ends, control characters.
func plainID(id string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, id)
}
