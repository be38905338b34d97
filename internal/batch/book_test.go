package batch_test

import (
	"errors"
	"os"
	"testing"

	"github.com/cozeq/cozeq/internal/batch"
)

// TestReplacedBook: a spreadsheet that saves a book puts another file under its name.
func TestReplacedBook(t *testing.T) {
	in := open(t, "q.xlsx", xlsx(t, [][]any{{"question"}, {"original"}}, nil), batch.InputOptions{})
	other := open(t, "q.xlsx", xlsx(t, [][]any{{"question"}, {"replaced"}}, nil), batch.InputOptions{})
	if err := os.Rename(other.Name(), in.Name()); err != nil {
		t.Fatal(err)
	}
	_, err := in.Check(t.Context())
	if !errors.Is(err, batch.ErrEdited) {
		t.Errorf("%v", err)
	}
}
