// Package nodetest runs npm packages against our servers, so that clients that nobody here wrote judge them.
package nodetest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Project is an npm project whose packages are installed.
type Project struct {
	Dir string // a copy that the test may write to
	ctx context.Context
}

// timeout bounds the installation and the run together.
const timeout = 4 * time.Minute

// Install copies the npm project of a directory and installs its packages. The test is skipped with -short, and where node
// or the npm registry is out of reach, unless COZEQ_REQUIRE_NPM=1.
func Install(t *testing.T, source string) *Project {
	t.Helper()
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
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	p := &Project{Dir: dir, ctx: ctx}
	install := p.command("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
	if out, err := install.CombinedOutput(); err != nil {
		text := strings.TrimSpace(string(out))
		unable("not tried: npm install: %v: %s", err, text[max(0, len(text)-600):])
	}
	return p
}

// Run runs index.mjs, which prints a line with "ok " for each step that is well, and wants so many steps.
func (p *Project) Run(t *testing.T, steps int, env ...string) {
	t.Helper()
	run := p.command("node", "index.mjs")
	run.Env = append(append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"), env...)
	out, err := run.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("node index.mjs: %v", err)
	}
	if n := strings.Count(string(out), "ok "); n != steps {
		t.Errorf("%d steps reported, want %d", n, steps)
	}
}

func (p *Project) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.ctx, name, args...)
	cmd.Dir = p.Dir
	cmd.WaitDelay = time.Second // npm leaves children that hold the pipe
	return cmd
}
