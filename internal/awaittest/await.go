// Package awaittest waits, in tests, for what other goroutines and processes do, and keeps what they print.
package awaittest

import (
	"errors"
	"testing"
	"time"
)

// timeout bounds each wait. Nearly all end within seconds. On a starved machine a worker may take minutes, and a Redis
// Sentinel that stood still for 2 s does nothing for the next 30 (TILT).
const timeout = 2 * time.Minute

// Until waits until something is reached.
func Until(t testing.TB, what string, reached func() bool) {
	t.Helper()
	notYet := errors.New("not yet")
	NoError(t, what, func() error {
		if reached() {
			return nil
		}
		return notYet
	})
}

// NoError waits until a check finds no error, and shows the last one if it never does.
func NoError(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.After(timeout)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("waited %v for: %s: %v", timeout, what, err)
		}
	}
}
