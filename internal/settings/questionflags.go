package settings

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/tasks"
)

// Texts of flags that several commands have.
const (
	QueueUsage    = "`NAME` of the queue; NAME/N spreads conversations over N queues"
	AttemptsUsage = "ask a question at most `N` times; waits do not count"
)

func AddTurnFailure(f *pflag.FlagSet, p *string) {
	f.StringVar(p, "on-turn-failure", tasks.TurnSkip, "what to do with the later turns of a conversation when one fails: skip the failed turn and ask them, or block them")
	flags.OneOf(f, "on-turn-failure", tasks.TurnSkip, tasks.TurnBlock)
}

func AddDrain(cmd *cobra.Command, d *time.Duration) {
	flags.Duration(cmd.Flags(), d, "drain", defaultDrain, "let chats in flight finish for this long after the first signal")
}

// defaultDrain is how long chats in flight may go on after the first signal.
const defaultDrain = 30 * time.Second
