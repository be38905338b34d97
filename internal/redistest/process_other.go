//go:build !linux

package redistest

import (
	"errors"
	"syscall"
)

// dieWithParent is a wish that only Linux grants: elsewhere a killed test binary leaves its server behind.
func dieWithParent() *syscall.SysProcAttr { return nil }

func (p *process) pause() error  { return errors.ErrUnsupported }
func (p *process) resume() error { return errors.ErrUnsupported }
