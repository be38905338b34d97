package parquet_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	library "github.com/parquet-go/parquet-go"

	"github.com/cozeq/cozeq/internal/parquet"
)

var columns = []parquet.Column{{Name: "question"}, {Name: "token_count", Type: parquet.Number}, {Name: "答案"}}

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

// TestTypes: times and truth values are what a library reads, and so are their nulls.
func TestTypes(t *testing.T) {
	var b bytes.Buffer
	w, err := parquet.NewWriter(&b, []parquet.Column{{Name: "at", Type: parquet.Time}, {Name: "twice", Type: parquet.Bool}})
	var rows [][]string
	for n := range 20 {
		row := []string{"2026-11-30T03:18:33.00" + strconv.Itoa(n%10) + "Z", []string{"true", "", "false"}[n%3]}
		if n == 4 {
			row[0] = ""
		}
		rows, err = append(rows, row), errors.Join(err, w.Write(row))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]string{"soon", ""}); err == nil {
		t.Error("what is no time was written")
	}
	if got, err := back(b.Bytes()); err != nil || !slices.EqualFunc(got, rows, slices.Equal[[]string]) {
		t.Errorf("%q, %v", got, err)
	}
	read, err := library.Read[struct {
		At    *time.Time `parquet:"at,optional,timestamp(millisecond)"`
		Twice *bool      `parquet:"twice,optional"`
	}](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(read) != len(rows) {
		t.Fatalf("%d rows, %v", len(read), err)
	}
	for n, r := range read {
		at, twice := "", ""
		if r.At != nil {
			at = r.At.UTC().Format("2006-01-02T15:04:05.000Z")
		}
		if r.Twice != nil {
			twice = strconv.FormatBool(*r.Twice)
		}
		if at != rows[n][0] || twice != rows[n][1] {
			t.Errorf("row %d: %s, %s, want %q", n, at, twice, rows[n])
		}
	}
}

// TestPageSize: a page that unpacks to more than its header says is not read on.
func TestPageSize(t *testing.T) {
	const cell = 1 << 20
	file := table(t, [][]string{{strings.Repeat("x", cell), "", ""}})
	const size = 4 + 2 + 4 + cell // the length of the levels, the levels, the length of the text, the text
	at := bytes.Index(file, binary.AppendVarint(nil, size))
	if at < 0 {
		t.Fatal("the size of the page is not in its header")
	}
	copy(file[at:], binary.AppendVarint(nil, size-1))
	if _, err := back(file); !errors.Is(err, parquet.ErrForeign) {
		t.Errorf("got %v", err)
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
	var b bytes.Buffer
	w, err := parquet.NewWriter(&b, []parquet.Column{{Name: "at", Type: parquet.Time}, {Name: "twice", Type: parquet.Bool}})
	if err = errors.Join(err, w.Write([]string{"2026-11-30T03:18:33.000Z", "true"}), w.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(_ *testing.T, file []byte) { _, _ = back(file) })
}
