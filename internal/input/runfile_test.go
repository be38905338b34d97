package input_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/input"
)

// TestRunFiles: a file of a workflow's parameter stands there as Coze wants it, once it is uploaded.
func TestRunFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"cat.png", "dog.png", "notes.pdf"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, text, want, wrong string }{
		{"a.csv", "photo:image,n:int\ncat.png,1\n", `{"n":1,"photo":"{\"file_id\":\"cat.png\"}"}`, ""},
		{"a.csv", "photos:image\ncat.png; dog.png\n", `{"photos":["{\"file_id\":\"cat.png\"}","{\"file_id\":\"dog.png\"}"]}`, ""},
		{"a.csv", "a:file,b:file\nhttps://example.com/a.pdf,notes.pdf;\n", `{"a":"https://example.com/a.pdf","b":["{\"file_id\":\"notes.pdf\"}"]}`, ""},
		{"a.csv", "photo:image,n\n,1\n", `{"n":"1"}`, ""},
		{"a.jsonl", `{"photo:file":["cat.png"],"photo2:file":null}`, `{"photo":["{\"file_id\":\"cat.png\"}"]}`, ""},
		{"a.csv", "photo:image\nnotes.pdf\n", "", "a.csv:2: image: "},
		{"a.csv", "photo:file\nmissing.png\n", "", "a.csv:2: file: "},
		{"a.jsonl", `{"photo:file":7}`, "", "photo:file: want a string or an array of strings"},
	} {
		path := filepath.Join(dir, tt.name)
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := input.Open(path, input.Options{Workflow: &input.Workflow{ID: "73"}, CheckFile: attachment.Check})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = in.Check(t.Context()); tt.wrong != "" && (err == nil || !strings.Contains(text(err), tt.wrong)) || tt.wrong == "" && err != nil {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.wrong)
		}
		for row, err := range in.Rows() {
			if err != nil {
				continue
			}
			var ids []string
			for _, path := range row.Paths() {
				ids = append(ids, filepath.Base(path))
			}
			if got, _ := json.Marshal(row.ChatWith(ids).Parameters); string(got) != tt.want {
				t.Errorf("%s: %s, want %s", tt.text, got, tt.want)
			}
		}
		in.Close()
	}
}
