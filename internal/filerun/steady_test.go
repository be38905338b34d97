package filerun_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

// stored packs a text without compressing it.
func stored(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestEditedInput edits the file in place while a run asks its questions: nothing of it is asked, and the run goes on
// once the file is as it was.
func TestEditedInput(t *testing.T) {
	const rows, word, other = 40, "original", "replaced"
	var questions []string
	for i := range rows {
		questions = append(questions, fmt.Sprintf("%s %d %s", word, i+1, strings.Repeat("x", 5000)))
	}
	lines := func(prefix, suffix string) (all string) {
		for _, q := range questions {
			all += prefix + q + suffix + "\n"
		}
		return all
	}
	jsonl := lines(`{"question":"`, `"}`)
	for _, test := range []struct {
		name, content string
		edit          func(string) string
	}{
		{"q.jsonl", jsonl, nil},
		{"q.txt", lines("", ""), nil},
		{"q.csv", "question\n" + lines("", ""), nil},
		{"cut.txt", lines("", ""), func(s string) string { return s[:len(s)/2] }},
		{"longer.txt", lines("", ""), func(s string) string { return s + other + "\n" }},
		{"q.jsonl.gz", stored(t, jsonl), func(string) string { return stored(t, strings.ReplaceAll(jsonl, word, other)) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.edit == nil {
				test.edit = func(s string) string {
					half := len(s) / 2
					return s[:half] + strings.ReplaceAll(s[half:], word, other)
				}
			}
			b := filetest.NewBook()
			l, _ := filetest.NewLine(t, redistest.Embedded(t), b)
			path := filepath.Join(t.TempDir(), "a.jsonl")
			in := filetest.Open(t, test.name, test.content, input.Options{})
			write := func(content string) {
				if err := os.WriteFile(in.Name(), []byte(content), 0o600); err != nil {
					t.Error(err)
				}
			}
			job := l.NewJob(in, path)
			job.Window = 2
			edited := sync.OnceFunc(func() { write(test.edit(test.content)) })
			job.OnRecord = func(*input.Row, *results.Result) { edited() }
			s, err := job.Run(t.Context())
			if !errors.Is(err, input.ErrEdited) {
				t.Fatalf("%+v, %v", s, err)
			}
			for q := range b.Asked() {
				if strings.Contains(q, other) {
					t.Errorf("asked %.20q", q)
				}
			}

			again, err := input.Open(in.Name(), input.Options{BotID: "bot"})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			_, err = l.NewJob(again, path).Run(t.Context())
			if _, changed := errors.AsType[*journal.ChangedError](err); !changed {
				t.Errorf("with the edited file: %v", err)
			}

			write(test.content)
			restored, err := input.Open(in.Name(), input.Options{BotID: "bot"})
			if err != nil {
				t.Fatal(err)
			}
			defer restored.Close()
			if _, err := l.NewJob(restored, path).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			filetest.Complete(t, path, questions)
			filetest.AskedOnce(t, b, questions)
		})
	}
}
