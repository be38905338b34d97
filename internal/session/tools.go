package session

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/command"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
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
	flags.Duration(f, &o.timeout, timeoutFlag, worker.DefaultToolTimeout, "after this long, tell the bot that the tool failed")
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
	cfg.Tools, cfg.ToolTimeout, cfg.ToolRounds = make(map[string]worker.Tool), o.timeout, o.rounds
	for _, pair := range o.commands {
		name, line, ok := strings.Cut(pair, "=")
		switch {
		case !ok || name == "" || strings.TrimSpace(line) == "":
			return misuse.Errorf(cmd, "--%s: %q, want NAME=COMMAND, such as get_weather=./weather.py", toolFlag, pair)
		case cfg.Tools[name] != nil:
			return misuse.Errorf(cmd, "--%s: two commands for %s", toolFlag, name)
		}
		c, err := command.Parse(line)
		if err != nil {
			return misuse.Errorf(cmd, "--%s: %s: %w: name a program that is there and may be run", toolFlag, name, err)
		}
		cfg.Tools[name] = func(ctx context.Context, arguments json.RawMessage) (string, error) {
			return c.Run(ctx, arguments)
		}
	}
	return nil
}
