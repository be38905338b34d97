package output_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	library "github.com/parquet-go/parquet-go"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/output"
)

// TestParquet: the columns of a .csv with types, empty cells are nulls, and it is read back as any OUTPUT.
func TestParquet(t *testing.T) {
	path := filetest.Ran(t, "q.csv", "custom_id,question,n,started_at\na,问,1,then\nb,why,,\n", "a.parquet", input.Options{})
	type row struct {
		CustomID   string  `parquet:"custom_id,optional"`
		N          *string `parquet:"n,optional"`
		Answer     string  `parquet:"answer,optional"`
		Status     string  `parquet:"status,optional"`
		ErrorCode  *int64  `parquet:"error_code,optional"`
		TokenCount int64   `parquet:"token_count,optional"`
		Duplicate  *bool   `parquet:"possible_duplicate,optional"`
		Started    string  `parquet:"input_started_at,optional"`

		Completed time.Time `parquet:"completed_at,optional,timestamp(millisecond)"`
	}
	rows, err := library.ReadFile[row](path)
	if err != nil || len(rows) != 2 {
		t.Fatalf("%+v, %v", rows, err)
	}
	if r := rows[0]; r.CustomID != "a" || r.N == nil || *r.N != "1" || r.Answer != "re: 问" || r.Status != "completed" || r.ErrorCode != nil || r.TokenCount != 5 ||
		r.Duplicate != nil || r.Started != "then" || r.Completed.Year() < 2026 {
		t.Errorf("%+v", r)
	}
	if r := rows[1]; r.N != nil || r.Answer != "re: why" {
		t.Errorf("%+v", r)
	}
	var ids string
	for r, err := range (output.File{Path: path, ID: "custom_id"}).Records(t.Context()) {
		if err != nil || r.Usage.TokenCount != 5 {
			t.Fatalf("%+v, %v", r, err)
		}
		ids += r.CustomID
	}
	if ids != "ab" {
		t.Errorf("read back: %q", ids)
	}
	other := filepath.Join(t.TempDir(), "other.parquet")
	if err := os.WriteFile(other, []byte("question\nwhy?\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range (output.File{Path: other}).Records(t.Context()) {
		if err == nil {
			t.Error("a file of another kind was read")
		}
	}
}
