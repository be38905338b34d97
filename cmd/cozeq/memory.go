package main

import (
	"os"
	"runtime/debug"
)

// What a run may use before the garbage collector works harder than it otherwise would: garbage is most of what a
// window of 10,000 short questions takes, with the embedded store in the process. A stream takes some 50 KiB that are
// no garbage (BenchmarkMemory).
const (
	runMemory    = 112 << 20
	streamMemory = 64 << 10
)

// boundMemory keeps a run small, however many rows its input has. It bounds nothing: what is needed is used. GOMEMLIMIT,
// where it is set, is the user's word.
func boundMemory(streams int) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(runMemory + int64(streams)*streamMemory)
	}
}
