package input_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
)

func TestAttachments(t *testing.T) {
	tests := []struct{ name, file, content, want string }{
		{"by extension", "q.csv", "question,file_url\nwhat?,https://x.cn/A.PNG?w=1\n", `[{"type":"text","text":"what?"},{"type":"image","file_url":"https://x.cn/A.PNG?w=1"}]`},
		{"audio", "q.csv", "question,file_url\nwhat?,https://x.cn/a.mp3\n", `[{"type":"text","text":"what?"},{"type":"audio","file_url":"https://x.cn/a.mp3"}]`},
		{"several", "q.csv", "question,file_url,image_id\nwhat?,\"https://x.cn/a.pdf\nhttps://x.cn/b\",73\n",
			`[{"type":"text","text":"what?"},{"type":"file","file_url":"https://x.cn/a.pdf"},{"type":"file","file_url":"https://x.cn/b"},{"type":"image","file_id":"73"}]`},
		{"none", "q.csv", "question,file_url\nwhat?,\n", "what?"},
		{"fields", "q.jsonl", `{"question":"a < b?","image_url":"http://x.cn/y?a=1&b=2","file_id":["1","2"]}`,
			`[{"type":"text","text":"a < b?"},{"type":"file","file_id":"1"},{"type":"file","file_id":"2"},{"type":"image","file_url":"http://x.cn/y?a=1&b=2"}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for row, err := range filetest.Open(t, test.file, test.content, input.Options{}).Rows() {
				if err != nil {
					t.Fatal(err)
				}
				m := row.Chat.AdditionalMessages[0]
				if m.Content != test.want || (m.ContentType == "object_string") != strings.HasPrefix(test.want, "[") {
					t.Errorf("%s: %s\nwant %s", m.ContentType, m.Content, test.want)
				}
				if q := row.Question(); q != "what?" && q != "a < b?" {
					t.Errorf("the question is %q", q)
				}
			}
		})
	}
	const unfit = `%s is not a URL that Coze can fetch: want http:// or https://, or upload the file to Coze and give its id as file_id`
	for content, want := range map[string]string{
		"question,file_url\nx,a.png\n":              "file_url: " + strings.ReplaceAll(unfit, "%s", `"a.png"`),
		"question,image_url\nx,file:///etc/hosts\n": "image_url: " + strings.ReplaceAll(unfit, "%s", `"file:///etc/hosts"`),
		"question,file_id\nx,a/b\n":                 `file_id: "a/b" is not the id of a file that was uploaded to Coze`,
		"question,file_id\nx,[1]\n":                 "file_id: want an array of strings",
		"question,file_id\n,73\n":                   "question: empty",
	} {
		in := filetest.Open(t, "q.csv", content, input.Options{})
		_, err := in.Check(t.Context())
		if err == nil || strings.TrimPrefix(err.Error(), in.Name()+":2: ") != want {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
	in := filetest.Open(t, "q.jsonl", `{"additional_messages":[{"role":"user","content":"x"}],"file_id":"1"}`, input.Options{})
	if _, err := in.Check(t.Context()); err == nil || !strings.Contains(err.Error(), ":1: file_id: goes with question; in additional_messages write an object_string") {
		t.Errorf("with messages: %v", err)
	}
}

// TestPaths: files of this machine are checked with the rows, relative to the input, and get their ids later.
func TestPaths(t *testing.T) {
	var checked []string
	in := filetest.Open(t, "q.csv", "question,file,image\nwhat?,\"a b.pdf; /c.mp3\n\",d.png\n", input.Options{CheckFile: func(path string) error {
		checked = append(checked, path)
		return nil
	}})
	want := []string{filepath.Join(filepath.Dir(in.Name()), "a b.pdf"), "/c.mp3", filepath.Join(filepath.Dir(in.Name()), "d.png")}
	stats, err := in.Check(t.Context())
	if err != nil || stats.Files != 3 || !slices.Equal(checked, want) {
		t.Fatalf("%+v, %v, checked %q, want %q", stats, err, checked, want)
	}
	for row, err := range in.Rows() {
		if err != nil || !slices.Equal(row.Paths(), want) {
			t.Fatalf("paths %q, %v", row.Paths(), err)
		}
		got := row.ChatWith([]string{"1", "2", "3"}).AdditionalMessages[0].Content
		if got != `[{"type":"text","text":"what?"},{"type":"file","file_id":"1"},{"type":"audio","file_id":"2"},{"type":"image","file_id":"3"}]` {
			t.Errorf("with ids: %s", got)
		}
	}
}
