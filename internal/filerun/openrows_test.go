package filerun_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/cozeq/cozeq/internal/filetest"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redistest"
)

// TestOpenRows lists what is not answered yet, with the lane in which it waits.
func TestOpenRows(t *testing.T) {
	l, _ := filetest.NewLine(t, redistest.Embedded(t), filetest.NewBook())
	content := `{"question":"alone"}` + "\n" + `{"question":"turn","conversation_key":"k"}` + "\n"
	job := l.NewJob(filetest.Open(t, "q.jsonl", content, input.Options{}), filepath.Join(t.TempDir(), "a.jsonl"))
	if got := job.OpenRows(); len(got) != 0 {
		t.Errorf("before the run: %v", got)
	}
	asked, release := make(chan string, 2), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	l.After = func(id string) {
		asked <- id
		<-release
	}
	ended := make(chan error, 1)
	go func() {
		_, err := job.Run(t.Context())
		ended <- err
	}()
	ids := map[string]bool{<-asked: true, <-asked: true}
	lanes := map[string]bool{}
	for _, f := range job.OpenRows() {
		if !ids[f.ID] {
			t.Errorf("%s is not being asked", f.ID)
		}
		lanes[f.Lane] = true
	}
	if len(lanes) != 2 || !lanes[""] || !lanes["key:bot:k"] {
		t.Errorf("lanes %v", lanes)
	}
	letGo()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := job.OpenRows(); len(got) != 0 {
		t.Errorf("after the run: %v", got)
	}
}
