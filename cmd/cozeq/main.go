// Command cozeq asks Coze many questions, safely: from files, from the command
// line, and as a worker of a shared queue. Package internal/cli has its commands;
// here are its start and, in testdata, the manual of its command line as scripts.
package main

import (
	"os"

	"github.com/cozeq/cozeq/internal/cli"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version = ""

func main() { os.Exit(cli.Main(version)) }
