package settings

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/tasks"
)

// QuestionFlags say how questions are asked. Commands that ask one have AddOne; those that ask a file of them have AddMany.
type QuestionFlags struct {
	Queue      string
	Credential string // "" = the worker's own
	Timeout    time.Duration

	Attempts      int
	OnTurnFailure string // as tasks.Chat has it; "" = skip
	many          bool
}

// AddOne adds the flags. The two texts say what --credential and --timeout mean for the command.
func (q *QuestionFlags) AddOne(cmd *cobra.Command, credential, timeout string) {
	f := cmd.Flags()
	f.StringVar(&q.Queue, "queue", tasks.QueueDefault, "`NAME` of the queue; NAME/N spreads conversations over N queues")
	f.StringVar(&q.Credential, "credential", "", credential)
	flags.Duration(f, &q.Timeout, "timeout", tasks.DefaultTimeout, timeout)
}

func (q *QuestionFlags) AddMany(cmd *cobra.Command, credential string) {
	q.AddOne(cmd, credential, "limit of one attempt")
	q.many = true
	f := cmd.Flags()
	f.IntVar(&q.Attempts, "attempts", tasks.DefaultAttempts, "ask a question at most `N` times; waits do not count")
	f.StringVar(&q.OnTurnFailure, "on-turn-failure", tasks.TurnSkip, "what to do with the later turns of a conversation when one fails: skip the failed turn and ask them, or block them")
	flags.OneOf(f, "on-turn-failure", tasks.TurnSkip, tasks.TurnBlock)
}

func (q *QuestionFlags) Check(cmd *cobra.Command) error {
	if _, err := tasks.Shards(q.Queue); err != nil {
		return misuse.Errorf(cmd, "--queue: %w", err)
	}
	if q.Credential != "" {
		if err := checkCredentialName(q.Credential); err != nil {
			return misuse.Errorf(cmd, "--credential: %w", err)
		}
	}
	switch {
	case q.Timeout < time.Second:
		return misuse.Errorf(cmd, "--timeout %v, want at least 1s", q.Timeout)
	case !q.many:
		return nil
	case q.Attempts < 1:
		return misuse.Errorf(cmd, "--attempts %d, want at least 1", q.Attempts)
	}
	switch q.OnTurnFailure {
	case tasks.TurnSkip:
		q.OnTurnFailure = ""
	case tasks.TurnBlock:
	default:
		return misuse.Errorf(cmd, "--on-turn-failure %q, want %s or %s", q.OnTurnFailure, tasks.TurnSkip, tasks.TurnBlock)
	}
	return nil
}

func AddDrain(cmd *cobra.Command, d *time.Duration) {
	flags.Duration(cmd.Flags(), d, "drain", defaultDrain, "let chats in flight finish for this long after the first signal")
}

// defaultDrain is how long chats in flight may go on after the first signal.
const defaultDrain = 30 * time.Second
