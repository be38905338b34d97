// Package command parses and runs the commands of --tool and --on-result.
package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
)

// Command is a program and its arguments.
type Command struct {
	path string
	args []string
}

// Parse splits a text at spaces, without a shell and without quotes: what needs more belongs into a script. Its program must be
// there.
func Parse(text string) (Command, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Command{}, errors.New("want a program, and its arguments behind spaces")
	}
	path, err := exec.LookPath(words[0])
	return Command{path, words[1:]}, err
}

func (c Command) Set() bool { return c.path != "" }

func (c Command) String() string { return c.path }

// Make is the command, to be started, in the environment of this process without our settings and without those of traces: they
// hold tokens and passwords, or name files that do.
func (c Command) Make(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Env = environment()
	return cmd
}

func environment() []string {
	kept := []string{} // nil would be all
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		name = strings.ToUpper(name)
		if !strings.HasPrefix(name, "COZE") && !strings.HasPrefix(name, "OTEL_") && name != "REDIS_URL" {
			kept = append(kept, pair)
		}
	}
	return kept
}
