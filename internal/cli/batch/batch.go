// Package batch is the command batch with its verbs, a file each: it submits, lists, follows, retries, cancels and verifies
// the batches that package tasks/batches keeps in a shared Redis. A run over a file is internal/cli/run.
package batch

import (
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/terminal"
)

func New(s *terminal.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "batch",
		Short: "Submit batches of questions to a shared Redis, and manage them",
		Long: `A batch is a file of questions that a shared Redis keeps as a whole. The workers
there ask them; no process has to wait. 'batch submit' prints the batch's id, and
the other commands take it, or its first characters if they are unique.

Each question is queued, waiting, running, completed, failed, canceled or
expired, so the counts of a batch always add up. Questions and results are kept
for 7 days after the batch ends, or as 'submit --keep' says.

A 'cozeq run' with --redis is listed as a batch too. Its answers are in its own
file.`,
		Example: `  id=$(cozeq batch submit questions.csv)
  cozeq batch watch $id --exit-status
  cozeq batch results $id -o answers.csv
  cozeq batch retry $id --class transient
  cozeq batch verify $id answers.csv`,

		SuggestionsMinimumDistance: 2,

		Args: func(cmd *cobra.Command, args []string) error { return misuse.UnknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newSubmit(s), newList(s), newStatus(s), newWatch(s),
		newResults(s), newCancel(s), newRetry(s), newVerify(s),
	)
	return cmd
}
