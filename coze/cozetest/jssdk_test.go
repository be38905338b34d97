package cozetest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
)

// TestJavaScriptSDK lets Coze's official JavaScript SDK judge the fake: a client
// written by those who run the real server. It is skipped where node or the npm
// registry is out of reach, unless COZEQ_REQUIRE_NPM=1.
func TestJavaScriptSDK(t *testing.T) {
	unable := t.Skipf
	if os.Getenv("COZEQ_REQUIRE_NPM") == "1" {
		unable = t.Fatalf
	} else if testing.Short() {
		t.Skip("installs an npm package: not with -short")
	}
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			unable("JavaScript SDK not tried: %s is not installed", name)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/jssdk")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install",
		"--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
	install.Dir = dir
	install.WaitDelay = time.Second // npm leaves children that hold the pipe
	if out, err := install.CombinedOutput(); err != nil {
		unable("JavaScript SDK not tried: npm install: %v: %s", err, lastLines(out))
	}

	srv := cozetest.New(t, func(c *cozetest.Config) {
		c.Tokens = []string{"pat_cozetest"}
		c.DeltaPace = time.Millisecond
	})
	run := exec.CommandContext(ctx, "node", "index.mjs")
	run.Dir = dir
	run.WaitDelay = time.Second
	run.Env = append(os.Environ(), "COZE_API_BASE="+srv.URL, "COZE_API_TOKEN=pat_cozetest",
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	out, err := run.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("node index.mjs: %v", err)
	}
	if n := strings.Count(string(out), "ok "); n != 7 {
		t.Errorf("%d steps reported, want 7", n)
	}
	if got := srv.ByQuestion("1+1 是多少？🙂"); got != 1 {
		t.Errorf("the question arrived %d times, want once", got)
	}
}

func lastLines(out []byte) string {
	s := strings.TrimSpace(string(out))
	return s[max(0, len(s)-600):]
}
