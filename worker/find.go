package worker

import (
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// How long a question that was sent may take to show up in its conversation, and
// how often to look. The request had left before its reply was missed; the time is for
// the way, for a worker that stood still between noting and sending, and for a Coze that
// is slow to write down what it has taken. It is waited for only where a worker or a
// connection died in the moment of asking, so it can be long.
const (
	findFor   = 10 * time.Second
	findEvery = time.Second
	clockSkew = 10 * time.Second // between Coze's clock and ours
)

// find tells what became of a question that was sent and got no reply. If Coze
// took it, its chat is noted and found is true. If it provably did not, found is
// false and it may be asked again. Where nobody can tell it may be asked again too,
// with PossibleDuplicate set, in a fresh conversation unless this one is needed.
// A list that cannot be read now is waited for, as in poll; an error says that the
// wait is long: nothing has changed.
func (a *attempt) find(ctx context.Context) (found bool, err error) {
	defer a.spans.call("find").done(&err)
	r := &a.rec.Result
	if !historySaved(a.chat) {
		return false, a.unsure(ctx, "its history is not saved")
	}
	until := a.rec.AskedAt.Add(findFor)
	for wait := findEvery; ; {
		page, err := a.coze.ListMessages(ctx, r.ConversationID, &coze.ListMessagesRequest{Order: "desc", Limit: 50})
		e, _ := errors.AsType[*coze.Error](err)
		taken := false
		switch {
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case err == nil:
			var chatID string
			if chatID, taken = a.question(page.Messages); chatID != "" {
				if err := a.adopt(ctx, chatID); err != nil {
					return false, err
				}
				return true, nil
			}
		case e == nil:
			return false, err
		case e.Class == coze.ClassPermanent:
			return false, a.unsure(ctx, "its conversation cannot be read: "+e.Error())
		case !passes(e):
			return false, e
		default:
			a.log.Debug("could not look for the question, will try again", "err", err)
			wait = min(pollMost, max(wait*3/2, e.RetryAfter))
		}
		if err == nil && time.Now().After(until) {
			if taken {
				return false, a.unsure(ctx, "the question is in its conversation without a chat")
			}
			a.rec.AskedAt = time.Time{}
			return false, nil
		}
		if !pause(ctx, wait) {
			return false, context.Cause(ctx)
		}
	}
}

// question looks for this task's question among a conversation's messages. The tag
// decides; where Coze gives no tags back, a question of the same words, written
// since this one was sent, is taken for it.
func (a *attempt) question(messages []coze.Message) (chatID string, taken bool) {
	own := &a.chat.AdditionalMessages[len(a.chat.AdditionalMessages)-1]
	since := a.rec.AskedAt.Add(-clockSkew).Unix()
	for i := range messages {
		m := &messages[i]
		if m.ChatID != "" && m.ChatID == a.rec.EndedChat {
			break // newest first: the rest belongs to asks that are over
		}
		if m.Role != coze.RoleUser {
			continue
		}
		tag, tagged := m.MetaData[taskTag]
		switch {
		case tag == a.id:
		case tagged:
			continue
		case m.Content == own.Content && m.CreatedAt >= since:
		default:
			continue
		}
		taken = true
		if m.ChatID != "" {
			return m.ChatID, true
		}
	}
	return "", taken
}

// adopt notes a chat that was found. As with a stream's first event, a Redis that
// cannot take the note is no reason to let the chat go.
func (a *attempt) adopt(ctx context.Context, chatID string) error {
	a.log.Info("found the chat of a question that got no reply", "chat", chatID)
	return a.created(ctx, &coze.Chat{ID: chatID, ConversationID: a.rec.Result.ConversationID}, "")
}

func (a *attempt) unsure(ctx context.Context, why string) error {
	a.warn("the question was sent and got no reply, and whether it was answered cannot be found out: " + why)
	a.rec.Result.PossibleDuplicate = true
	a.rec.AskedAt = time.Time{}
	if a.ownConversation() {
		a.forgetConversation(ctx)
	}
	return nil
}
