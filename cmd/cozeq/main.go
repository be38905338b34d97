// Command cozeq asks Coze many questions, safely: from files, from the command
// line, and as a worker of a shared queue.
//
// Each command has a file of its own that only parses and presents; the work is
// done in packages tasks, worker, coze, results and internal/batch. Settings are
// read in internal/settings, and internal/exitcode alone decides the exit code.
// Nothing imports this package.
package main

import (
	"os"

	"github.com/cozeq/cozeq/internal/terminal"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version = ""

func main() { os.Exit(start()) }

// start runs the program with the process's own streams. The first signal ends
// the context, the second one the process.
func start() int {
	s := terminal.SystemStreams()
	s.Version = versionName(version)
	ctx, stop := heedSignals(&s, os.Exit)
	defer stop()
	return execute(ctx, os.Args[1:], s)
}
