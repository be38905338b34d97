//go:build unix

package command

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the command a process group of its own, which Cancel kills: with all children, and out of reach of the
// terminal's Ctrl-C.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
