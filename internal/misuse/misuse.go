// Package misuse is for commands that were called wrongly: the number of arguments, unknown commands, flags and values.
// Every such error is a *misuse.Error, which names the command whose --help explains it.
package misuse

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/flags"
)

// Error is a command called wrongly.
type Error struct {
	Command string
	Err     error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Errorf is wrong usage found by the command itself. Durations among args are written as users write them: 15m, 7d.
func Errorf(cmd *cobra.Command, format string, args ...any) error {
	for i, arg := range args {
		if d, ok := arg.(time.Duration); ok {
			args[i] = flags.Format(d)
		}
	}
	return &Error{Command: cmd.CommandPath(), Err: fmt.Errorf(format, args...)}
}

// CheckArgs checks the number of arguments; what names them in the error.
func CheckArgs(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return &Error{Command: cmd.CommandPath(), Err: fmt.Errorf("%s is missing", what)}
		case most >= 0 && len(args) > most:
			err := fmt.Errorf("unexpected %q", args[most])
			if most == 1 {
				err = fmt.Errorf("%w: one %s only, in quotes if it has spaces", err, what)
			}
			return &Error{Command: cmd.CommandPath(), Err: err}
		}
		return nil
	}
}

func UnknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return &Error{Command: cmd.CommandPath(), Err: errors.New(text)}
}
