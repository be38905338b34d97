package answercache

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// FuzzCache puts anything into the place of an answer: what is read is the answer, or nothing.
func FuzzCache(f *testing.F) {
	c, err := Open(f.TempDir(), "here", 0)
	if err != nil {
		f.Fatal(err)
	}
	key := c.Key(tasks.Ask("b", "q"))
	c.Put(key, &results.Result{Status: results.Completed, Answer: "the answer"})
	path := c.path(key)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(whole[:len(whole)-1])
	f.Add([]byte("{}\n{}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := c.Get(key); r != nil && (r.Answer == "" || r.Status != results.Completed) {
			t.Errorf("%q is an answer: %+v", content, r)
		} else if r == nil && string(content) == string(whole) {
			t.Error("the answer itself is none")
		}
	})
}
