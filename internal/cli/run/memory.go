package run

import (
	"os"
	"runtime/debug"
)

// What a run may use before the garbage collector works harder than it otherwise would: garbage is most of what a
// window of 10,000 short questions takes, with the embedded store in the process. A stream takes some 50 KiB that are
// no garbage (BenchmarkMemory).
const (
	runMemory    = 104 << 20
	streamMemory = 64 << 10
)

// garbagePercent lets garbage grow to four times what is in use before it is collected, below the memory limit. At Go's
// default of 100 the collector took 16 % of the CPU of a run alone, which has few MiB in use.
const garbagePercent = 400

// boundMemory keeps a run small, however many rows its input has. The bound is soft: what is needed is used. GOMEMLIMIT
// and GOGC take precedence if they are set.
func boundMemory(streams int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(runMemory + int64(streams)*streamMemory)
	}
}
