package main

import (
	"github.com/spf13/cobra"
)

func newBatchCmd(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "batch",
		Short: "Leave a file of questions with a shared Redis, and look after it",
		Long: `A batch is a file of questions that a shared Redis holds as a whole: the workers
there ask them, and no process has to wait. submit prints its id, by which the other
commands find it; the beginning of an id will do where only one batch has it.

The counts of a batch add up at every moment: each question is queued, waiting,
running, completed, failed, canceled or expired. Its questions and its results are
kept for 7 days after its end, or as submit --keep says.

cozeq run with --redis is a batch too, while it runs and after; its answers are in
its own file.`,
		Example: `  id=$(cozeq batch submit questions.csv)
  cozeq batch watch $id --exit-status
  cozeq batch results $id -o answers.csv
  cozeq batch retry $id --class transient
  cozeq batch verify $id answers.csv`,

		SuggestionsMinimumDistance: 2,

		Args: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newBatchSubmitCmd(s), newBatchListCmd(s), newBatchStatusCmd(s), newBatchWatchCmd(s),
		newBatchResultsCmd(s), newBatchCancelCmd(s), newBatchRetryCmd(s), newBatchVerifyCmd(s),
	)
	return cmd
}
