package session

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/toolcommand"
	"github.com/cozeq/cozeq/worker"
)

// Tools are the flags for the client-side tools of bots.
type Tools struct {
	commands []string
	timeout  time.Duration
	rounds   int
}

// Names of the flags.
const (
	toolFlag    = "tool"
	timeoutFlag = "tool-timeout"
	roundsFlag  = "tool-rounds"
)

// AddFlags adds the flags.
func (o *Tools) AddFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.commands, toolFlag, nil, "run a command when a bot calls its client-side tool, as `NAME=COMMAND`: arguments as JSON on stdin, output from stdout; may be repeated")
	flags.Duration(f, &o.timeout, timeoutFlag, worker.DefaultToolTimeout, "tell the bot that a tool failed that takes longer")
	f.IntVar(&o.rounds, roundsFlag, worker.DefaultToolRounds, "let a chat call tools `N` times, several at a time")
}

// Apply gives them to the worker of this process; nil: there is none, and the flags are refused.
func (o *Tools) Apply(cmd *cobra.Command, cfg *worker.Config) error {
	if cfg == nil {
		for _, flag := range []string{toolFlag, timeoutFlag, roundsFlag} {
			if cmd.Flags().Changed(flag) {
				return misuse.Errorf(cmd, "--%s is for the worker of this process: add --with-worker, or set it where the workers run", flag)
			}
		}
		return nil
	}
	switch {
	case o.timeout <= 0:
		return misuse.Errorf(cmd, "--%s %v, want a positive one", timeoutFlag, o.timeout)
	case o.rounds < 1:
		return misuse.Errorf(cmd, "--%s %d, want at least 1", roundsFlag, o.rounds)
	}
	commands, err := toolcommand.Parse(o.commands)
	if err != nil {
		return misuse.Errorf(cmd, "--%s: %w", toolFlag, err)
	}
	cfg.Tools, cfg.ToolTimeout, cfg.ToolRounds = make(map[string]worker.Tool), o.timeout, o.rounds
	for name, command := range commands {
		cfg.Tools[name] = func(ctx context.Context, arguments json.RawMessage) (string, error) {
			return command.Run(ctx, arguments)
		}
	}
	return nil
}
