// Package cancel is the command cancel: it cancels questions by their ids.
package cancel

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

type options struct{ streams *terminal.Streams }

// New is the command cancel.

func New(s *terminal.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "cancel ID...",
		Short: "Cancel questions, queued or running",
		Long: `Cancels questions. A queued question is not asked any more. A running one is
ended by its worker a moment later, also at Coze.

Prints each id with its status: canceled, running (it ends soon), or the status
with which it had ended before.`,
		Example: `  cozeq cancel 0199b6c2-5f0e-7c33-9d0c-2f6f0f1f4c11`,
		Args:    misuse.CheckArgs(1, -1, "ID"),
		RunE:    o.run,
	}
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func (o *options) run(cmd *cobra.Command, ids []string) error {
	for _, id := range ids {
		if err := tasks.ValidateID(id); err != nil {
			return misuse.Errorf(cmd, "%w", err)
		}
	}
	s, err := session.OpenFor(cmd, o.streams)
	if err != nil {
		return err
	}
	defer s.Close()
	t := &terminal.Table{Header: []string{"ID", "STATUS"}}
	var failed []error
	for _, id := range ids {
		status, err := s.Tasks.Cancel(cmd.Context(), id)
		switch {
		case errors.Is(err, results.ErrNotFound):
			failed = append(failed, err)
		case err != nil:
			return errors.Join(t.Write(o.streams), fmt.Errorf("%s: %w", id, err))
		default:
			t.Add(id, string(status))
		}
	}
	if len(t.Rows) > 0 {
		if err := t.Write(o.streams); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}
