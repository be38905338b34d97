package worker

import (
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
)

// How long a question that was sent may take to show up in its conversation, and how often to look. Its request had left
// before its reply was missed. The time is for the way, and for a Coze that lists late. It is waited for only after a worker
// or a connection died in the moment of asking, so it can be long.
const (
	findFor   = 10 * time.Second
	findEvery = time.Second
	clockSkew = 10 * time.Second // between Coze's clock and ours

	// lookAfter is the least time that an attempt looks for a question that it did not send itself: see askedNote.
	lookAfter = noteAge + coze.ConsentTime + 3*time.Second
)

// newestMessages asks for the end of a conversation.
var newestMessages = &coze.ListMessagesRequest{Order: "desc", Limit: 50}

// until is when a question that was not found is taken for not sent. It counts from the note, but never lasts longer than
// findFor from now: the note may be by the fast clock of a dead worker. For another attempt's note it also counts from when
// that attempt was fenced.
func (l *lookup) until(now time.Time) time.Time {
	least, most := time.Duration(0), findFor
	if l.notes.at.IsZero() {
		least, most = lookAfter-l.rec.FencedFor, findFor-l.rec.FencedFor
	}
	return now.Add(min(max(l.rec.AskedAt.Add(findFor).Sub(now), least), most))
}

// find looks for the chat of a question that was sent and got no reply.
//
//   - found: Coze took the question, and its chat is noted.
//   - not found: Coze did not take it. Or it cannot be known: then PossibleDuplicate is set, and the next ask takes a fresh
//     conversation unless this one is needed. Either way the question may be asked again.
//   - an error: the search has to wait, and nothing has changed.
func (l *lookup) find(ctx context.Context) (found bool, err error) {
	defer l.spans.Call("find", l.coze).Done(&err)
	r := &l.rec.Result
	if l.payload.IsWorkflow() {
		l.unsure(ctx, "a workflow's run is in no conversation")
		return false, nil
	}
	if !historySaved(l.payload) {
		l.unsure(ctx, "its history is not saved")
		return false, nil
	}
	earlier := ""
	if r.Lane != "" {
		if earlier, err = l.lanes.LastChat(ctx, r.Lane); err != nil {
			return false, err
		}
	}
	now := time.Now()
	q := l.sought(earlier, now)
	until := l.until(now)
	for waits := pollWaits.Start(); ; {
		if err := l.calls.permit(ctx); err != nil {
			return false, err
		}
		page, err := l.coze.ListMessages(ctx, r.ConversationID, newestMessages)
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if e, ok := errors.AsType[*coze.Error](err); ok && e.Class == coze.ClassPermanent {
			l.unsure(ctx, "its conversation cannot be read: "+e.Error())
			return false, nil
		}
		if err != nil {
			if err := l.retry(ctx, waits, err); err != nil {
				return false, err
			}
			continue
		}
		chatID, doubtful := q.among(page.Messages)
		if chatID != "" {
			l.log.Info("found the chat of a question that got no reply", "chat", chatID)
			return true, l.notes.created(ctx, &coze.Chat{ID: chatID, ConversationID: r.ConversationID}, "")
		}
		if time.Now().After(until) {
			switch {
			case doubtful:
				l.unsure(ctx, "a question of its words is in its conversation, and it cannot be told whose it is")
			case l.payload.IsChatflow():
				l.unsure(ctx, "its conversation does not have it, and Coze does not say that it lists what a chatflow is asked")
			}
			l.rec.AskedAt = time.Time{}
			return false, nil
		}
		if err := backoff.Sleep(ctx, findEvery); err != nil {
			return false, err
		}
	}
}

// unsure allows a question to be asked again whose fate cannot be known.
func (l *lookup) unsure(ctx context.Context, why string) {
	l.warn("the question was sent and got no reply, and whether it was answered cannot be found out: " + why)
	l.rec.Result.PossibleDuplicate = true
	l.rec.AskedAt = time.Time{}
	if l.ownConversation() {
		l.conversations.forget(ctx)
	}
}

// sought is a question that find looks for in its conversation.
type sought struct {
	id    string // of its task: the tag
	words string

	// ended and earlier are the last chats of this task and of the conversation's last turn, "" if none is known. The
	// question stands after them.
	ended, earlier string

	own    bool  // no other task and no person asks in this conversation
	since  int64 // when it was asked, in Unix seconds; 0: the note's clock was wrong
	lately int64 // when it was asked at the earliest, as clocks differ
}

func (l *lookup) sought(earlier string, now time.Time) sought {
	q := sought{id: l.id, words: l.words(), ended: l.rec.EndedChat, earlier: earlier, own: l.ownConversation()}
	if at := l.rec.AskedAt; !at.After(now) {
		q.since, q.lately = at.Unix(), at.Add(-clockSkew).Unix()
	}
	return q
}

// among looks for the question among a conversation's messages, newest first. The tag decides. If Coze gives no tags back, a
// question of the same words may be this one, an earlier turn's, or another person's in the same conversation. It is this
// task's
//
//   - in a conversation in which only this task asks;
//   - after the chat of the conversation's last turn, as turns come one after the other;
//   - if that chat is not known or not listed, and the message is not older than the note.
//
// A message that only may be this task's, as clocks differ, is not taken: its answer could be another question's. doubtful
// reports such a message, or one that names no chat.
func (q *sought) among(messages []coze.Message) (chatID string, doubtful bool) {
	var like []*coze.Message // questions of the same words
	after := q.own
	for i := range messages {
		m := &messages[i]
		if m.ChatID != "" && (m.ChatID == q.ended || m.ChatID == q.earlier) {
			after = true
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
		case after, q.since != 0 && m.CreatedAt >= q.since:
			return m.ChatID, false
		case m.CreatedAt < q.lately:
			continue
		}
		doubtful = true
	}
	return "", doubtful
}
