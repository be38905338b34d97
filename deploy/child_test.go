package deploy_test

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// child is a program that runs until it is told to stop, at the latest when the test ends.
type child struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd

	mu  sync.Mutex
	out bytes.Buffer
}

// run starts cmd, which was made with the test's context.
func run(t *testing.T, name string, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{t: t, name: name, cmd: cmd}
	cmd.Stdout, cmd.Stderr = c, c
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.wait() // the test's context has ended, so it was told to stop, once: a second signal stops a worker at once
		if t.Failed() {
			text := c.text()
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

func (c *child) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

// text is what the program has printed so far.
func (c *child) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}
