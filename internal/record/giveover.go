package record

import (
	"context"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/results"
)

// GivenChat is a chat that an attempt has made and may not note, or has noted and Redis
// may have lost.
type GivenChat struct {
	TaskID, ConversationID, ChatID string

	// AskedAt is the attempt's note that it was about to ask, as it was written.
	AskedAt time.Time

	// Noted tells that the record named the chat once. Then whoever owns the record now
	// knew it, unless Redis has lost it since.
	Noted bool

	// Lost tells that Redis has forgotten writes, or may have.
	Lost bool

	// Runs tells that the attempt has not ended: a record that is gone is made again for
	// the chat.
	Runs bool
}

// GiveOver brings a chat into its task's record, for the owner of now. wanted is false for
// one too many: the record says so, if it is there, and the caller should cancel the chat
// at Coze.
func (s *Store) GiveOver(ctx context.Context, c GivenChat) (wanted bool, err error) {
	n, err := giveScript.Run(ctx, s.rdb, []string{results.Key(c.TaskID)}, c.ChatID, c.ConversationID, results.At(c.AskedAt).String(),
		c.Noted, c.Lost, c.Runs, seconds(openTTL)).Int()
	if err != nil {
		return false, fmt.Errorf("give the chat of %s over: %w", c.TaskID, err)
	}
	return n == 1 || n == gone && c.Noted, nil
}
