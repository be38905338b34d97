package parquet_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	library "github.com/parquet-go/parquet-go"

	"github.com/cozeq/cozeq/internal/parquet"
)

var columns = []parquet.Column{{Name: "question"}, {Name: "token_count", Number: true}, {Name: "答案"}}

func table(t testing.TB, rows [][]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := parquet.NewWriter(&b, columns)
	for _, row := range rows {
		err = errors.Join(err, w.Write(row))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func back(file []byte) (rows [][]string, err error) {
	r, err := parquet.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	for row, err := range r.Rows() {
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// TestLibrary: a library reads what is written, with its types and nulls, and so does the package itself.
func TestLibrary(t *testing.T) {
	long := strings.Repeat("好", 1<<20) // 3 MiB: there are several groups
	rows := [][]string{{"why?", "5", "because"}, {"", "", ""}, {long, "-9223372036854775808", ""}, {"a\x00b\n", "", long}, {long, "7", "x"}, {"last", "0", "终"}}
	for n := range 1000 {
		rows = append(rows, []string{strconv.Itoa(n), strconv.Itoa(n), ""})
	}
	file := table(t, rows)
	f, err := library.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if want := "message row {\n\toptional binary question (STRING);\n\toptional int64 token_count (INT(64,true));\n\toptional binary 答案 (STRING);\n}"; f.Schema().String() != want {
		t.Errorf("schema %s", f.Schema())
	}
	if len(f.RowGroups()) < 2 {
		t.Errorf("%d groups", len(f.RowGroups()))
	}
	n, r := 0, library.NewReader(f)
	defer r.Close()
	for buffer := make([]library.Row, 1); ; n++ {
		if _, err := r.ReadRows(buffer); err == io.EOF && n == len(rows) {
			break
		} else if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		for i, v := range buffer[0] {
			got := ""
			if !v.IsNull() {
				got = v.String()
			}
			if got != rows[n][i] {
				t.Fatalf("row %d: %.40q, want %.40q", n, got, rows[n][i])
			}
		}
	}
	got, err := back(file)
	if err != nil || !slices.EqualFunc(got, rows, slices.Equal[[]string]) {
		t.Errorf("%d rows, %v", len(got), err)
	}
	if rows, err := back(table(t, nil)); err != nil || len(rows) != 0 {
		t.Errorf("no rows: %v, %v", rows, err)
	}
}

// TestForeign: a file of another program is refused.
func TestForeign(t *testing.T) {
	var b bytes.Buffer
	w := library.NewGenericWriter[struct{ A string }](&b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"", "PAR1", "PAR1\xff\xff\xff\xffPAR1", b.String()} {
		if _, err := back([]byte(file)); !errors.Is(err, parquet.ErrForeign) {
			t.Errorf("%.20q: %v", file, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(table(f, [][]string{{"why?", "5", "because"}, {"", "", ""}}))
	f.Fuzz(func(_ *testing.T, file []byte) { _, _ = back(file) })
}
