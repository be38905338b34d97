package record

import (
	"context"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/results"
)

// GivenChat is a chat that an attempt has made and may not note, or that Redis may have lost after it was noted.
type GivenChat struct {
	TaskID, ConversationID, ChatID string

	// AskedAt is the attempt's note that it was about to ask, as it was written.
	AskedAt time.Time

	// Noted is true if the record named the chat once. Then the present owner knows it, unless Redis has lost it since.
	Noted bool

	// Lost is true if Redis has forgotten writes, or may have.
	Lost bool

	// Runs is true if the attempt has not ended. Then a record that is gone is made again for the chat.
	Runs bool
}

// GiveOver brings a chat into its task's record, for the present owner. wanted is false if it is one chat too many: the record
// then says so, if it exists, and the caller should cancel the chat at Coze.
func (s *Store) GiveOver(ctx context.Context, c GivenChat) (wanted bool, err error) {
	n, err := giveScript.Run(ctx, s.rdb, []string{results.Key(c.TaskID)}, c.ChatID, c.ConversationID, results.At(c.AskedAt).String(),
		c.Noted, c.Lost, c.Runs, seconds(openTTL)).Int()
	if err != nil {
		return false, fmt.Errorf("give the chat of %s over: %w", c.TaskID, err)
	}
	return n == 1 || n == gone && c.Noted, nil
}
