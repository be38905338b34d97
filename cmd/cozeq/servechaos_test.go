package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
)

// Two servers and two workers are killed in turn and started again, and their Redis once. Clients come again as their SDKs do.
// Every question is asked once, every watcher gets every piece once, and every webhook is told.
func TestServeChaos(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills and restarts programs for half a minute")
	}
	serveChaos(t, 240, 8, 1)
}

// TestSoakServe is the same with 2,000 questions, and each process and Redis killed four times.
func TestSoakServe(t *testing.T) {
	if os.Getenv("COZEQ_SOAK") == "" {
		t.Skip("make soak runs it")
	}
	serveChaos(t, 2000, 16, 4)
}

// chaos is the processes, and who calls them.
type chaos struct {
	processes
	callers
	servers, workers [2]*program
}

func serveChaos(t *testing.T, questions, concurrency, rounds int) {
	rdb := redistest.Start(t, redistest.AppendOnly("always"))
	c := &chaos{processes: processes{
		dir: t.TempDir(), redis: rdb.URL(),
		fake: cozetest.New(t, cozetest.With(cozetest.Config{ // chats of 500 ms
			Latency: 100 * time.Millisecond, DeltaPace: 50 * time.Millisecond, KeepLog: -1,
		})),
	}}
	secrets := filepath.Join(c.dir, "secrets")
	if err := os.WriteFile(secrets, []byte("default whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.env = []string{"COZEQ_WEBHOOK_SECRETS_FILE=" + secrets}
	c.callers.start(t)
	for i := range c.servers {
		c.startServer(t, i)
		c.startWorker(t, i, concurrency)
	}
	t.Cleanup(func() {
		for _, p := range [...]*program{c.servers[0], c.servers[1], c.workers[0], c.workers[1]} {
			c.kill(p.cmd)
		}
		if t.Failed() {
			c.showLogs(t)
		}
	})

	var faults []func()
	for range rounds {
		for i := range c.servers {
			faults = append(faults,
				func() { c.kill(c.servers[i].cmd); c.startServer(t, i) },
				func() { c.kill(c.workers[i].cmd); c.startWorker(t, i, concurrency) })
		}
		faults = append(faults, rdb.Restart)
	}

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	asked := make(chan error, 1)
	go func() { asked <- c.askAll(ctx, questions, 5*concurrency) }()
	done := 0
	for over := false; !over; {
		select {
		case err := <-asked:
			if err != nil {
				t.Error(err)
			}
			over = true
		case <-time.After(5 * time.Millisecond):
			if done < len(faults) && c.fake.Accepted() >= (done+1)*questions/(len(faults)+1) {
				faults[done]()
				done++
			}
		}
	}
	if done < len(faults) {
		t.Errorf("%d of %d faults: the test shows too little", done, len(faults))
	}
	if err := c.hooks.await(ctx); err != nil {
		t.Error(err)
	}
	if accepted, repeats := c.fake.Accepted(), c.fake.Repeats(); accepted != questions || repeats != 0 {
		t.Errorf("%d chats for %d questions, of which %d were asked again", accepted, questions, repeats)
	}
	t.Logf("%d questions in %v, %d faults; %s", questions, time.Since(began).Round(100*time.Millisecond), done, c.callers.summary())
}

func (c *chaos) startServer(t *testing.T, i int) {
	t.Helper()
	c.servers[i] = c.startProgram(t, regexp.MustCompile(`cozeq: serving (http://\S+), `),
		"serve", "--http", "127.0.0.1:0", "--model", "support=bot", "--webhook-allow", "127.0.0.0/8")
	c.urls[i].Store(c.servers[i].ready)
}

func (c *chaos) startWorker(t *testing.T, i, concurrency int) {
	t.Helper()
	c.workers[i] = c.startProgram(t, workerServes, "worker", "--http", "off", "--drain", "0s", "--concurrency", fmt.Sprint(concurrency))
}

// showLogs shows the ends of what the processes have said.
func (c *chaos) showLogs(t *testing.T) {
	logs, err := filepath.Glob(filepath.Join(c.dir, "*.log"))
	for _, name := range logs {
		text, readErr := os.ReadFile(name)
		err = errors.Join(err, readErr)
		t.Logf("%s:\n%s", filepath.Base(name), text[max(0, len(text)-3000):])
	}
	if err != nil {
		t.Error(err)
	}
}
