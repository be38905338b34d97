package batchfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redistest"
)

// A file that was tampered with is told from one that is in order, and what is wrong by row and custom_id.
func TestVerifyFile(t *testing.T) {
	t.Parallel()
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	l.Fails = func(q string) bool { return q == "three" }
	d := submit(t, l, filetest.Open(t, "q.csv", "custom_id,question\na,one\nb,two\nc,three\nd,four\n", input.Options{}))
	ended(t, d)
	tests := []struct {
		name   string
		change func(lines []string) []string
		want   []string
	}{
		{"nothing", func(l []string) []string { return l }, nil},
		{"one is missing", func(l []string) []string { return slices.Delete(l, 1, 2) },
			[]string{`row 2 (custom_id "b"): FILE has no record of it`}},
		{"one is there twice", func(l []string) []string { return slices.Insert(l, 3, l[2]) },
			[]string{`row 3 (custom_id "c"): FILE has 2 records of it`}},
		{"two are out of order", func(l []string) []string { l[1], l[2] = l[2], l[1]; return l },
			[]string{`row 2 (custom_id "b"): FILE: record 3 is out of order, it stands behind that of row 3`}},
		{"a status was changed", func(l []string) []string { l[0] = strings.Replace(l[0], "completed", "canceled", 1); return l },
			[]string{`row 1 (custom_id "a"): FILE says canceled, the batch completed`}},
		{"one is of another chat", func(l []string) []string { l[3] = strings.Replace(l[3], "chat of", "that of", 1); return l },
			[]string{`row 4 (custom_id "d"): FILE has the record of another chat: it was asked again since, or somebody has changed it`}},
		{"one is of no row", func(l []string) []string {
			return append(l, strings.NewReplacer(`d,four`, `e,four`, d.Batch.ID+"-4", d.Batch.ID+"-5", `"custom_id":"d"`, `"custom_id":"e"`).Replace(l[3]))
		}, []string{`FILE: record 5 (custom_id "e") is of no row of the batch`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, name := range []string{"a.csv", "a.jsonl"} {
				path, _ := write(t, d, name)
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				lines := slices.Collect(strings.Lines(string(content)))
				var head []string
				if name == "a.csv" {
					head, lines = lines[:1:1], lines[1:]
				}
				text := strings.Join(append(head, test.change(lines)...), "")
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				v, err := d.Verify(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, f := range v.Faults {
					got = append(got, strings.ReplaceAll(f.String(), path, "FILE"))
				}
				if !slices.Equal(got, test.want) || v.Total != len(got) || v.Clean() != (len(got) == 0) {
					t.Errorf("%s: %q, want %q", name, got, test.want)
				}
			}
		})
	}
}

// What is no output at all is an error, and no fault of the batch.
func TestVerifyNoOutput(t *testing.T) {
	t.Parallel()
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	d := submit(t, l, filetest.Open(t, "q.txt", "one\n", input.Options{}))
	ended(t, d)
	for name, content := range map[string]string{
		"a.csv": "one,two\n", "b.jsonl": "{}\n", "c.jsonl": "nonsense\n", "d.docx": "x", "e.csv": "",
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if v, err := d.Verify(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	if _, err := d.Verify(t.Context(), filepath.Join(t.TempDir(), "nowhere.csv")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
