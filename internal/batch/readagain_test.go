package batch_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/cozeq/cozeq/internal/batch"
)

func TestReadInAnotherWayIsRefused(t *testing.T) {
	content := chinese(t, "id,question,other\n一,你好吗，朋友,另一个问题\n")
	path := filepath.Join(t.TempDir(), "a.jsonl")
	begun(t, open(t, "q.csv", content, batch.InputOptions{}), path)
	for _, test := range []struct {
		options batch.InputOptions
		want    string
	}{
		{batch.InputOptions{QuestionCol: "other"}, `the questions were in column "question", now in "other"`},
		{batch.InputOptions{CustomIDCol: "id"}, `the custom_ids were in column "", now in "id"`},
		{batch.InputOptions{Prompt: "{{.other}}"}, "its questions were made with another prompt, or without one"},
	} {
		_, err := once(t, newBook(), open(t, "q.csv", content, test.options), path, nil)
		if changed, ok := errors.AsType[*batch.ChangedError](err); !ok || changed.What != test.want {
			t.Errorf("%+v: %v, want %s", test.options, err, test.want)
		}
	}
	// Said instead of found out, it is the same.
	said := batch.InputOptions{Encoding: "gbk", Delimiter: "comma", QuestionCol: "question"}
	if s, err := once(t, newBook(), open(t, "q.csv", content, said), path, nil); err != nil || s.Answered != 1 {
		t.Errorf("said instead of found out: %+v, %v", s, err)
	}
}
