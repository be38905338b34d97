package worker

import (
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
)

// How long a question that was sent may take to show up in its conversation, and
// how often to look. The request had left before its reply was missed; the time is for
// the way, and for a Coze that is slow to write down what it has taken. It is waited for
// only where a worker or a connection died in the moment of asking, so it can be long.
const (
	findFor   = 10 * time.Second
	findEvery = time.Second
	clockSkew = 10 * time.Second // between Coze's clock and ours

	// lookAfter is how long a question is looked for at the least by an attempt that did
	// not send it: see note.
	lookAfter = noteAge + coze.ConsentTime + 3*time.Second
)

// lookUntil is when a question that is not found by then was not taken. It counts from
// the note, but never for longer than from now on: who wrote the note may have had a
// clock that is fast, and is dead. A note of another attempt counts from when that one
// was fenced, too.
func (a *attempt) lookUntil(now time.Time) time.Time {
	least, most := time.Duration(0), findFor
	if a.noted.IsZero() {
		least, most = lookAfter-a.rec.FencedFor, findFor-a.rec.FencedFor
	}
	return now.Add(min(max(a.rec.AskedAt.Add(findFor).Sub(now), least), most))
}

// find tells what became of a question that was sent and got no reply. If Coze
// took it, its chat is noted and found is true. If it provably did not, found is
// false and it may be asked again. Where nobody can tell it may be asked again too,
// with PossibleDuplicate set, in a fresh conversation unless this one is needed.
// A list that cannot be read now is waited for, as in poll; an error says that the
// wait is long: nothing has changed.
func (a *attempt) find(ctx context.Context) (found bool, err error) {
	defer a.spans.Call("find", a.coze).Done(&err)
	r := &a.rec.Result
	if !historySaved(a.chat) {
		return false, a.unsure(ctx, "its history is not saved")
	}
	earlier := ""
	if r.Lane != "" {
		if earlier, err = a.lanes.LastChat(ctx, r.Lane); err != nil {
			return false, err
		}
	}
	now := time.Now()
	q := a.sought(earlier, now)
	until := a.lookUntil(now)
	for waits := pollWaits.Start(); ; {
		if err := a.calls.permit(ctx); err != nil {
			return false, err
		}
		page, err := a.coze.ListMessages(ctx, r.ConversationID, &coze.ListMessagesRequest{Order: "desc", Limit: 50})
		e, _ := errors.AsType[*coze.Error](err)
		doubtful := false
		switch {
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case err == nil:
			var chatID string
			if chatID, doubtful = q.among(page.Messages); chatID != "" {
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
			a.calls.heed(ctx, e)
			a.log.Debug("could not look for the question, will try again", "err", err)
			if err := waits.Sleep(ctx, min(e.RetryAfter, pollMost)); err != nil {
				return false, err
			}
			continue
		}
		if time.Now().After(until) {
			if doubtful {
				return false, a.unsure(ctx, "a question of its words is in its conversation, and it cannot be told whose it is")
			}
			a.rec.AskedAt = time.Time{}
			return false, nil
		}
		if err := backoff.Sleep(ctx, findEvery); err != nil {
			return false, err
		}
	}
}

// sought is a question that is looked for in its conversation.
type sought struct {
	id    string // of its task: the tag
	words string

	// ended and earlier are the chats of this task's and of the conversation's last turn
	// before, "" where there was none or it is not known: what stands before them is not
	// the question.
	ended, earlier string

	own    bool  // nobody else asks in this conversation
	since  int64 // when it was asked, in Unix seconds; 0 where the note does not tell
	lately int64 // when it was asked at the earliest, as clocks differ
}

func (a *attempt) sought(earlier string, now time.Time) sought {
	q := sought{
		id: a.id, words: a.chat.AdditionalMessages[len(a.chat.AdditionalMessages)-1].Content,
		ended: a.rec.EndedChat, earlier: earlier, own: a.ownConversation(),
	}
	if at := a.rec.AskedAt; !at.After(now) { // else a clock was wrong, by nobody knows what
		q.since, q.lately = at.Unix(), at.Add(-clockSkew).Unix()
	}
	return q
}

// among looks for the question among a conversation's messages, newest first. The tag
// decides. Where Coze gives no tags back a question of the same words may be it, or an
// earlier turn's, or somebody else's who asks in the same conversation. It is this task's
//
//   - in a conversation where nobody else asks;
//   - behind the chat of the conversation's last turn, as turns come one after the other;
//   - where that chat is not known or not listed, if it is not older than the note.
//
// What only may be it, as clocks differ, is not taken: the answer would be another
// question's. doubtful is true where there is such a one, or one without a chat.
func (q *sought) among(messages []coze.Message) (chatID string, doubtful bool) {
	var like []*coze.Message // questions of the same words
	behind := q.own
	for i := range messages {
		m := &messages[i]
		if m.ChatID != "" && (m.ChatID == q.ended || m.ChatID == q.earlier) {
			behind = true
			break
		}
		if m.Role != coze.RoleUser {
			continue
		}
		tag, tagged := m.MetaData[taskTag]
		switch {
		case tag == q.id && m.ChatID != "":
			return m.ChatID, false
		case tag == q.id:
			doubtful = true
		case !tagged && m.Content == q.words:
			like = append(like, m)
		}
	}
	for _, m := range like {
		switch {
		case m.ChatID == "":
		case behind, q.since != 0 && m.CreatedAt >= q.since:
			return m.ChatID, false
		case m.CreatedAt < q.lately:
			continue
		}
		doubtful = true
	}
	return "", doubtful
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
