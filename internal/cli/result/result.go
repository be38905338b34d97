// Package result is the command result: it prints what is known of one question.
package result

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

type resultCommand struct {
	streams *terminal.Streams
	wait    time.Duration
	json    bool
}

func New(s *terminal.Streams) *cobra.Command {
	c := &resultCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "result ID",
		Short: "Print one result",
		Long: `Prints what is known about one question: its status and, once it has ended, the
answer or the error. The exit code is 3 if it failed, was canceled or expired.`,
		Example: `  cozeq result 0199b6c2-5f0e-7c33-9d0c-2f6f0f1f4c11
  cozeq result "$id" --wait 30s --json | jq -r .answer`,
		Args: misuse.CheckArgs(1, 1, "ID"),
		RunE: c.run,
	}
	flags.Duration(cmd.Flags(), &c.wait, "wait", 0, "wait up to this long for the question to end")
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func (c *resultCommand) run(cmd *cobra.Command, args []string) error {
	id := args[0]
	if err := tasks.ValidateID(id); err != nil {
		return misuse.Errorf(cmd, "%w", err)
	}
	cfg := settings.Of(cmd, c.streams)
	level, err := cfg.Level(slog.LevelWarn)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	s, err := session.OpenShared(ctx, cfg, 1, terminal.NewLogger(c.streams.Err, c.streams.ErrTTY, level))
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := c.read(ctx, s.Results, id)
	if err != nil {
		return err
	}
	if c.json {
		err = panel.WriteRecord(c.streams.Out, r)
	} else {
		err = c.show(r.Readable())
	}
	if err != nil {
		return err
	}
	if r.Sealed != nil {
		return exitcode.Unreadable(r)
	}
	if c.wait > 0 && !r.Status.Terminal() {
		return &exitcode.HintedError{
			Err:  fmt.Errorf("%s has not ended within %v", id, c.wait),
			Hint: "wait longer, or see that a worker serves its queue",
		}
	}
	if err := exitcode.Outcome(r); err != nil && !c.json {
		return &exitcode.SomeFailedError{} // the table says it all
	} else if err != nil {
		return err
	}
	return nil
}

// read returns the result as it stands when it has ended or patience has.
func (c *resultCommand) read(ctx context.Context, store *results.Store, id string) (*results.Result, error) {
	if c.wait > 0 {
		limited, cancel := context.WithTimeout(ctx, c.wait)
		defer cancel()
		r, err := store.Wait(limited, id)
		if err == nil || limited.Err() == nil {
			return r, err
		}
		if ctx.Err() != nil {
			return nil, &exitcode.InterruptedError{}
		}
	}
	return store.Get(ctx, id)
}

func (c *resultCommand) show(r *results.Result) error {
	t := &terminal.Table{Header: []string{"ID", r.ID}}
	if !c.streams.OutTTY {
		t.Add("id", r.ID)
	}
	add := func(name, value string) {
		if value != "" {
			t.Add(name, value)
		}
	}
	add("status", string(r.Status))
	if r.Error != nil {
		add("error", r.Error.Error())
		add("hint", c.streams.Translate(r.Error.Hint))
		add("logid", r.Error.LogID)
	}
	add("bot", r.BotID)
	add("conversation", r.ConversationID)
	add("conversation_key", r.ConversationKey)
	add("chat", r.ChatID)
	if r.Usage != nil {
		add("tokens", strconv.FormatInt(r.Usage.TokenCount, 10))
	}
	if r.Attempts > 0 {
		add("attempts", strconv.Itoa(r.Attempts))
	}
	if r.PossibleDuplicate {
		add("possible_duplicate", "true")
	}
	add("other_chat_ids", strings.Join(r.OtherChatIDs, " "))
	if !r.CompletedAt.IsZero() {
		add("completed_at", r.CompletedAt.String())
	}
	add("warnings", strings.Join(r.Warnings, "; "))
	if !c.streams.OutTTY {
		add("answer", r.Answer)
		return t.Write(c.streams)
	}
	if err := t.WriteLong(c.streams); err != nil || r.Answer == "" {
		return err
	}
	_, err := fmt.Fprintf(c.streams.Out, "\n%s\n", strings.TrimSuffix(terminal.Printable(r.Answer), "\n"))
	return err
}
