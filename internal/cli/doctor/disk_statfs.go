//go:build darwin || freebsd || linux

package doctor

import "syscall"

// freeBytes is how much a process that is not root can still write.
func freeBytes(dir string) (uint64, bool) {
	var s syscall.Statfs_t
	for {
		switch err := syscall.Statfs(dir, &s); err {
		case nil:
			return uint64(max(0, s.Bavail)) * uint64(s.Bsize), true
		case syscall.EINTR:
		default:
			return 0, false
		}
	}
}
