package worker

import (
	"context"
	"errors"

	"github.com/cozeq/cozeq/coze"
)

// errStays is why the question of a chat that has ended stays in its conversation.
var errStays = errors.New("it may be needed there")

// removeFailedTurn takes the question of the task's last chat out of a conversation that is kept, before it is asked there
// again: the bot would see it twice. It returns errors about the permit alone. A question that cannot be removed stays, and
// is asked again all the same.
//
// It is removed only if Coze says now that its chat has failed. Other chats keep theirs: one that may still run, one whose
// answer may yet be listed, one that Coze has forgotten, and a canceled one, which Coze leaves out of the context by itself.
//
// find reads the conversation from its newest message and stops at the chat that has ended. A removal must not mislead it:
//
//  1. Chat A fails, and its question stays, as the token may not delete.
//  2. Chat B fails, and its question is removed.
//  3. The next ask gets no reply. Coze has not listed its question yet.
//  4. find meets A's question, and no B before it: it takes A for the chat of that ask. A has failed, so the question is
//     asked again, while the third chat runs.
//
// So nothing is removed where an earlier ask's question stands, or may stand. If the worker dies between two calls, the next
// attempt continues: what is removed is not listed. If it was fenced meanwhile, both attempts delete the same messages of a
// failed chat.
func (c *conversations) removeFailedTurn(ctx context.Context, conversation string) error {
	chatID := c.rec.EndedChat
	if c.ownConversation() || chatID == "" || chatID == c.rec.RemovedChat || !historySaved(c.payload) {
		return nil
	}
	err := c.removeTurn(ctx, conversation, chatID)
	e, isCoze := errors.AsType[*coze.Error](err)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		c.log.Info("removed a failed turn's question from its conversation", "conversation", conversation, "chat", chatID)
	case errors.Is(err, errStays) || isCoze:
		c.log.Info("a failed turn's question stays in its conversation", "conversation", conversation, "chat", chatID, "err", err)
		if isCoze && e.Class == coze.ClassRate {
			c.calls.limitOrPause(ctx, e)
		}
	default:
		return err
	}
	c.rec.RemovedChat = chatID
	return nil
}

func (c *conversations) removeTurn(ctx context.Context, conversation, chatID string) error {
	if err := c.calls.permit(ctx); err != nil {
		return err
	}
	chat, err := c.coze.RetrieveChat(ctx, conversation, chatID)
	if err != nil {
		return err
	}
	if chat.Status != coze.StatusFailed {
		return errStays
	}
	if err := c.calls.permit(ctx); err != nil {
		return err
	}
	page, err := c.coze.ListMessages(ctx, conversation, newestMessages)
	if err != nil {
		return err
	}
	ids, err := c.turnOf(chatID, page)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := c.calls.permit(ctx); err != nil {
			return err
		}
		if err := c.coze.DeleteMessage(ctx, conversation, id); err != nil {
			return err
		}
	}
	return nil
}

// turnOf lists the messages of a chat, if they are all on the page and no other may be of an earlier ask of this task.
func (c *conversations) turnOf(chatID string, page *coze.MessagePage) (ids []string, err error) {
	for i := range page.Messages {
		m := &page.Messages[i]
		tag, tagged := m.MetaData[taskTag]
		switch {
		case m.ChatID == chatID:
			if i == len(page.Messages)-1 && page.HasMore {
				return nil, errStays
			}
			ids = append(ids, m.ID)
		case m.Role == coze.RoleUser && (tag == c.id || !tagged && m.Content == c.words()):
			return nil, errStays
		}
	}
	return ids, nil
}
