package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// usageError is a command called wrongly.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

// usagef is wrong usage found by the command itself.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{command: cmd.CommandPath(), err: fmt.Errorf(format, args...)}
}

// wants checks the number of arguments; what names them in the error.
func wants(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return &usageError{command: cmd.CommandPath(), err: fmt.Errorf("%s is missing", what)}
		case most >= 0 && len(args) > most:
			err := fmt.Errorf("unexpected %q", args[most])
			if most == 1 {
				err = fmt.Errorf("%w: one %s only, in quotes if it has spaces", err, what)
			}
			return &usageError{command: cmd.CommandPath(), err: err}
		}
		return nil
	}
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return &usageError{command: cmd.CommandPath(), err: errors.New(text)}
}
