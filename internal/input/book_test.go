package input_test

import (
	"errors"
	"os"
	"testing"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
)

// TestReplacedBook: a spreadsheet that saves a book puts another file under its name.
func TestReplacedBook(t *testing.T) {
	in := filetest.Open(t, "q.xlsx", filetest.XLSX(t, [][]any{{"question"}, {"original"}}, nil), input.Options{})
	other := filetest.Open(t, "q.xlsx", filetest.XLSX(t, [][]any{{"question"}, {"replaced"}}, nil), input.Options{})
	if err := os.Rename(other.Name(), in.Name()); err != nil {
		t.Fatal(err)
	}
	_, err := in.Check(t.Context())
	if !errors.Is(err, input.ErrEdited) {
		t.Errorf("%v", err)
	}
}
