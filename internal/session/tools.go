package session

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/command"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/toolwebhook"
	"github.com/cozeq/cozeq/worker"
)

// Tools are the flags for the client-side tools of bots.
type Tools struct {
	named   []string
	timeout time.Duration
	rounds  int
}

// Names of the flags.
const (
	toolFlag    = "tool"
	timeoutFlag = "tool-timeout"
	roundsFlag  = "tool-rounds"
)

func (o *Tools) AddFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.named, toolFlag, nil, "when a bot calls its client-side tool NAME, run a command (arguments as JSON on stdin, output from stdout) or post to a signed webhook, as `NAME=COMMAND` or NAME=https://...; may be repeated")
	flags.Duration(f, &o.timeout, timeoutFlag, worker.DefaultToolTimeout, "after this long, tell the bot that the tool failed")
	f.IntVar(&o.rounds, roundsFlag, worker.DefaultToolRounds, "let a chat call tools `N` times, several at a time")
	settings.AddFlags(cmd, settings.WebhookAllow)
}

// Apply gives them to the worker of this process, which must have its Logger; nil: there is none, and the flags are refused. With
// secrets of webhooks the worker also calls the tools that tasks bring along.
func (o *Tools) Apply(c settings.Config, cfg *worker.Config) error {
	if cfg == nil {
		for _, flag := range []string{toolFlag, timeoutFlag, roundsFlag} {
			if c.Cmd.Flags().Changed(flag) {
				return misuse.Errorf(c.Cmd, "--%s is for the worker of this process: add --with-worker, or set it where the workers run", flag)
			}
		}
		return nil
	}
	switch {
	case o.timeout <= 0:
		return misuse.Errorf(c.Cmd, "--%s %v, want a positive one", timeoutFlag, o.timeout)
	case o.rounds < 1:
		return misuse.Errorf(c.Cmd, "--%s %d, want at least 1", roundsFlag, o.rounds)
	}
	client, signs, err := c.Webhooks(cfg.Logger)
	if err != nil {
		return err
	}
	webhooks := toolwebhook.New(client)
	if signs {
		cfg.TaskTool = webhooks.OfTask
	}
	cfg.Tools, cfg.ToolTimeout, cfg.ToolRounds = make(map[string]worker.Tool), o.timeout, o.rounds
	for _, pair := range o.named {
		name, what, ok := strings.Cut(pair, "=")
		switch {
		case !ok || name == "" || strings.TrimSpace(what) == "":
			return misuse.Errorf(c.Cmd, "--%s: %q, want NAME=COMMAND, such as get_weather=./weather.py, or NAME=https://...", toolFlag, pair)
		case cfg.Tools[name] != nil:
			return misuse.Errorf(c.Cmd, "--%s: two tools %s", toolFlag, name)
		}
		if cfg.Tools[name], err = newTool(webhooks, name, what); err != nil {
			return misuse.Errorf(c.Cmd, "--%s: %w", toolFlag, err)
		}
	}
	return nil
}

func newTool(webhooks *toolwebhook.Client, name, what string) (worker.Tool, error) {
	if strings.HasPrefix(what, "https://") || strings.HasPrefix(what, "http://") {
		return webhooks.Named(name, what)
	}
	c, err := command.Parse(what)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: name a program that is there and may be run", name, err)
	}
	return func(ctx context.Context, arguments json.RawMessage) (string, error) { return c.Run(ctx, arguments) }, nil
}
