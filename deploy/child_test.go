package deploy_test

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/awaittest"
)

// child is a program that runs until it is told to stop, at the latest when the test ends.
type child struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	out  awaittest.Log
}

// run starts cmd, which was made with the test's context.
func run(t *testing.T, name string, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{t: t, name: name, cmd: cmd}
	cmd.Stdout, cmd.Stderr = &c.out, &c.out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.wait() // the test's context has ended, so it was told to stop, once: a second signal stops a worker at once
		if t.Failed() {
			text := c.out.String()
			t.Logf("%s: %s\n%s", name, strings.Join(cmd.Args[1:], " "), text[max(0, len(text)-4000):])
		}
	})
	return c
}

func (c *child) wait() {
	if err := c.cmd.Wait(); c.cmd.ProcessState.ExitCode() != 0 {
		c.t.Errorf("%s ended with %v", c.name, err)
	}
}
