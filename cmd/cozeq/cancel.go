package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

type cancelCommand struct{ streams *streams }

func newCancelCmd(s *streams) *cobra.Command {
	c := &cancelCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "cancel ID...",
		Short: "Cancel questions, queued or running",
		Long: `Cancels questions. A queued question is not asked any more. A running one is
ended by its worker a moment later, also at Coze.

Prints each id with its status: canceled, running (it ends soon), or the status
with which it had ended before.`,
		Example: `  cozeq cancel 0199b6c2-5f0e-7c33-9d0c-2f6f0f1f4c11`,
		Args:    wants(1, -1, "ID"),
		RunE:    c.run,
	}
	addSettings(cmd, settingRedis, settingLog)
	return cmd
}

func (c *cancelCommand) run(cmd *cobra.Command, ids []string) error {
	for _, id := range ids {
		if err := tasks.ValidateID(id); err != nil {
			return usagef(cmd, "%w", err)
		}
	}
	cfg := configOf(cmd, c.streams)
	level, err := cfg.level(slog.LevelWarn)
	if err != nil {
		return err
	}
	s, err := openShared(cmd.Context(), cfg, 1, newLogger(c.streams.Err, c.streams.ErrTTY, level))
	if err != nil {
		return err
	}
	defer s.close()
	t := &table{header: []string{"ID", "STATUS"}}
	var failed []error
	for _, id := range ids {
		status, err := s.tasks.Cancel(cmd.Context(), id)
		switch {
		case errors.Is(err, results.ErrNotFound):
			failed = append(failed, err)
		case err != nil:
			return errors.Join(t.write(c.streams), fmt.Errorf("%s: %w", id, err))
		default:
			t.add(id, string(status))
		}
	}
	if len(t.rows) > 0 {
		if err := t.write(c.streams); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}
