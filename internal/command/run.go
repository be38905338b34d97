package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Bounds of one run.
const (
	maxOutput = 256 << 10       // bytes of stdout; more is a failure
	maxErrors = 800             // bytes of stderr, its end, that a failure quotes
	waitDelay = 2 * time.Second // for pipes that children hold after the command's end
)

// Run runs the command with this stdin to its end, and returns its stdout. Another exit status than 0 is a failure that quotes the
// end of stderr. When ctx ends, the command and its children are killed.
func (c Command) Run(ctx context.Context, stdin []byte) (string, error) {
	cmd := c.Make(ctx)
	out, complaints := head{limit: maxOutput}, tail{limit: maxErrors}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &complaints
	cmd.WaitDelay = waitDelay
	ownGroup(cmd)
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // children that outlive it hold its pipes
		_ = cmd.Cancel()
	}
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil && complaints.text() != "":
		return "", fmt.Errorf("%w: %s", err, complaints.text())
	case err != nil:
		return "", err
	case out.over:
		return "", fmt.Errorf("it wrote more than %d bytes", maxOutput)
	}
	return out.kept.String(), nil
}

// head keeps the beginning of what is written, and notes whether there was more.
type head struct {
	kept  bytes.Buffer // not embedded: its ReadFrom knows no limit
	limit int
	over  bool
}

func (h *head) Write(b []byte) (int, error) {
	fits := min(len(b), h.limit-h.kept.Len())
	h.over = h.over || fits < len(b)
	h.kept.Write(b[:fits])
	return len(b), nil
}

// tail keeps the end.
type tail struct {
	kept  []byte
	limit int
}

func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b...)
	if n := len(t.kept) - t.limit; n > 0 {
		t.kept = append(t.kept[:0], t.kept[n:]...)
	}
	return len(b), nil
}

func (t *tail) text() string { return strings.TrimSpace(strings.ToValidUTF8(string(t.kept), "")) }
