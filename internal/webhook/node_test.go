package webhook_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// TestVerifiedByOthers lets the npm packages standardwebhooks and openai judge what is sent. It is skipped where node or
// the npm registry is out of reach, unless COZEQ_REQUIRE_NPM=1.
func TestVerifiedByOthers(t *testing.T) {
	unable := t.Skipf
	if os.Getenv("COZEQ_REQUIRE_NPM") == "1" {
		unable = t.Fatalf
	} else if testing.Short() {
		t.Skip("installs npm packages: not with -short")
	}
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			unable("not verified by others: %s is not installed", name)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/node")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
	install.Dir, install.WaitDelay = dir, time.Second // npm leaves children that hold the pipe
	if out, err := install.CombinedOutput(); err != nil {
		unable("not verified by others: npm install: %v: %s", err, out)
	}

	r := newRig(t, redistest.Embedded(t), nil).start()
	r.schedule("task.1")
	attempt := r.Begin("task.1")
	attempt.Result.Status, attempt.Result.Answer = results.Completed, `1+1 是 <2> & "more" 🙂`
	r.Must(attempt.Finish(t.Context(), false))
	all := []delivery{r.receiver.next(t)}
	r.Must(r.Schedule(t.Context(), webhook.Batch, "batch", webhook.Target{URL: r.receiver.URL}))
	c := batches.New(r.Tasks)
	if _, _, err := c.Create(t.Context(), batches.Spec{ID: "batch", Rows: 1, BotID: "1"}); err != nil {
		t.Fatal(err)
	}
	r.Must(c.Cancel(t.Context(), "batch", func(int, int) {}))
	all = append(all, r.receiver.next(t))
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "deliveries.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(ctx, "node", "index.mjs")
	run.Dir, run.WaitDelay = dir, time.Second
	run.Env = append(os.Environ(), "DELIVERIES="+file, "SECRETS="+oldSecret+" "+newSecret, "STRANGER=whsec_"+strings.Repeat("c3RyYW5nZXIg", 3))
	out, err := run.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("node index.mjs: %v", err)
	}
	if n := strings.Count(string(out), "ok "); n != 10 {
		t.Errorf("%d checks reported, want 10", n)
	}
}
