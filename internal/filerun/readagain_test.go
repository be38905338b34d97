package filerun_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
)

func TestReadInAnotherWayIsRefused(t *testing.T) {
	content := filetest.Chinese(t, "id,question,other\n一,你好吗，朋友,另一个问题\n")
	path := filepath.Join(t.TempDir(), "a.jsonl")
	begun(t, filetest.Open(t, "q.csv", content, input.Options{}), path)
	for _, test := range []struct {
		options input.Options
		want    string
	}{
		{input.Options{QuestionCol: "other"}, `the questions were in column "question", now in "other"`},
		{input.Options{CustomIDCol: "id"}, `the custom_ids were in column "", now in "id"`},
		{input.Options{Prompt: "{{.other}}"}, "its questions were made with another prompt, or without one"},
	} {
		_, err := once(t, filetest.NewBook(), filetest.Open(t, "q.csv", content, test.options), path, nil)
		if changed, ok := errors.AsType[*journal.ChangedError](err); !ok || changed.What != test.want {
			t.Errorf("%+v: %v, want %s", test.options, err, test.want)
		}
	}
	// Said instead of found out, it is the same.
	said := input.Options{Encoding: "gbk", Delimiter: "comma", QuestionCol: "question"}
	if s, err := once(t, filetest.NewBook(), filetest.Open(t, "q.csv", content, said), path, nil); err != nil || s.Answered != 1 {
		t.Errorf("said instead of found out: %+v, %v", s, err)
	}
}
