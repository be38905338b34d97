package redistest

import (
	"errors"
	"os/exec"
	"runtime"
	"strings"

	"github.com/cozeq/cozeq/internal/awaittest"
)

// errExited says that a process ended before it answered.
var errExited = errors.New("redis-server exited")

type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child is gone
	log  awaittest.Log
}

func startProcess(binary string, args []string, dir string) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = dieWithParent()

	started := make(chan error)
	go func() {
		// On Linux the child dies with the thread that started it, not with the process: this goroutine keeps the
		// thread to itself until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // "signal: killed" is how it should end
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the child and waits until it is gone. SIGKILL reaches a stopped child too.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only for a child that is gone
	<-p.done
}

// output is the end of what the child printed, for messages.
func (p *process) output() string {
	lines := strings.Split(strings.TrimSpace(p.log.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], " | ")
}
