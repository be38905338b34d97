package openai_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
)

// TestNodeClients lets clients that people use judge the API: openai, @ai-sdk/openai-compatible, @langchain/openai. It is
// skipped where node or the npm registry is out of reach, unless COZEQ_REQUIRE_NPM=1.
func TestNodeClients(t *testing.T) {
	unable := t.Skipf
	if os.Getenv("COZEQ_REQUIRE_NPM") == "1" {
		unable = t.Fatalf
	} else if testing.Short() {
		t.Skip("installs npm packages: not with -short")
	}
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			unable("not tried: %s is not installed", name)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/node")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
	install.Dir = dir
	install.WaitDelay = time.Second // npm leaves children that hold the pipe
	if out, err := install.CombinedOutput(); err != nil {
		unable("not tried: npm install: %v: %s", err, out)
	}

	s := embedded(t, options{mock: cozetest.Config{Answer: echo}})
	_, second := s.serve(options{})
	_, cutting := s.serve(options{wrap: cutFirst})
	run := exec.CommandContext(ctx, "node", "index.mjs")
	run.Dir = dir
	run.WaitDelay = time.Second
	run.Env = append(os.Environ(), "BASE_URL="+s.url+"/v1", "SECOND_URL="+second+"/v1", "CUTTING_URL="+cutting+"/v1",
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "AI_SDK_LOG_WARNINGS=false")
	out, err := run.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("node index.mjs: %v", err)
	}
	if n := strings.Count(string(out), "ok "); n != 14 {
		t.Errorf("%d steps reported, want 14", n)
	}
	for _, question := range []string{"cut once", "slow once [[mock:pace=600ms]]", "a longer question 长一点 [[mock:pace=150ms]]"} {
		if n := s.mock.ByQuestion(question); n != 1 {
			t.Errorf("%q was asked %d times, want once", question, n)
		}
	}
}

// cutFirst does all the work of the first try and cuts the connection in place of the reply.
func cutFirst(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Stainless-Retry-Count") != "0" {
			h.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
}
