//go:build darwin || freebsd || linux

package terminal

import (
	"os"

	"golang.org/x/sys/unix"
)

// inBackground reports whether the shell has given stderr's terminal to another job.
func inBackground() bool {
	owner, err := unix.IoctlGetInt(int(os.Stderr.Fd()), unix.TIOCGPGRP)
	return err == nil && owner != unix.Getpgrp()
}
