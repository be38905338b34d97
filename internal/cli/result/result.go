// Package result is the command result: it prints what is known of one question.
package result

import (
	"context"
	"fmt"
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

type options struct {
	streams *terminal.Streams
	wait    time.Duration
	json    bool
}

func New(s *terminal.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "result ID",
		Short: "Print one result",
		Long: `Prints what is known about one question: its status and, once it has ended, the
answer or the error. The exit code is 3 if it failed, was canceled or expired.`,
		Example: `  cozeq result 0199b6c2-5f0e-7c33-9d0c-2f6f0f1f4c11
  cozeq result "$id" --wait 30s --json | jq -r .answer`,
		Args: misuse.CheckArgs(1, 1, "ID"),
		RunE: o.run,
	}
	flags.Duration(cmd.Flags(), &o.wait, "wait", 0, "wait up to this long for the question to end")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	id := args[0]
	if err := tasks.ValidateID(id); err != nil {
		return misuse.Errorf(cmd, "%w", err)
	}
	ctx := cmd.Context()
	s, err := session.OpenFor(cmd, o.streams)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := o.read(ctx, s.Results, id)
	if err != nil {
		return err
	}
	if o.json {
		err = panel.WriteRecord(o.streams.Out, r)
	} else {
		err = o.show(r.Readable())
	}
	if err != nil {
		return err
	}
	if r.Sealed != nil {
		return exitcode.Unreadable(r)
	}
	if o.wait > 0 && !r.Status.Terminal() {
		return &exitcode.HintedError{
			Err:  fmt.Errorf("%s has not ended within %s", id, flags.Format(o.wait)),
			Hint: "wait longer, or see that a worker serves its queue",
		}
	}
	err = exitcode.Outcome(r)
	if err != nil && !o.json {
		return &exitcode.SomeFailedError{} // the table says it all
	}
	return err
}

// read returns the result when the question has ended or --wait is over.
func (o *options) read(ctx context.Context, store *results.Store, id string) (*results.Result, error) {
	if o.wait > 0 {
		limited, cancel := context.WithTimeout(ctx, o.wait)
		defer cancel()
		r, err := store.Wait(limited, id)
		if err == nil || !session.Over(limited) {
			return r, err
		}
		if ctx.Err() != nil {
			return nil, &exitcode.InterruptedError{}
		}
	}
	return store.Get(ctx, id)
}

func (o *options) show(r *results.Result) error {
	t := &terminal.Table{Header: []string{"ID", r.ID}}
	if !o.streams.OutTTY {
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
		add("hint", o.streams.Translate(r.Error.Hint))
		add("logid", r.Error.LogID)
	}
	add("bot", r.BotID)
	add("conversation", r.ConversationID)
	add("conversation_key", r.ConversationKey)
	add("chat", r.ChatID)
	add("workflow", r.WorkflowID)
	add("debug_url", r.DebugURL)
	if i := r.Interrupt; i != nil {
		add("interrupt", i.EventID+" (type "+strconv.Itoa(i.Type)+")")
	}
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
	add("asks_back", terminal.Printable(r.AsksBack))
	add("warnings", strings.Join(r.Warnings, "; "))
	if !o.streams.OutTTY {
		add("answer", r.Answer)
		return t.Write(o.streams)
	}
	if err := t.WriteLong(o.streams); err != nil || r.Answer == "" {
		return err
	}
	_, err := fmt.Fprintf(o.streams.Out, "\n%s\n", strings.TrimSuffix(terminal.Printable(r.Answer), "\n"))
	return err
}
