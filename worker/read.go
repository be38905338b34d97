package worker

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/telemetry"
)

// chatEvents is which events the streams of an attempt had.
type chatEvents struct {
	came    bool // of a chat, in the last stream
	strayed bool // of another chat, in any
}

// stream sends the question and reads its stream. The chat is noted as soon as an event names it.
func (a *attempt) stream(ctx context.Context, conversation string) (chat *coze.Chat, err error) {
	started := time.Now()
	span := a.spans.Ask(a.coze, a.chat.Asked(), conversation)
	a.hold.sending.Store(true)
	defer a.hold.sending.Store(false)
	note := a.note(ctx, conversation)
	stream, err := a.put(ctx, conversation, note)
	note.close()
	defer func() { span.End(stream, chat, err) }()
	if e, ok := errors.AsType[*coze.Error](err); ok && e.ChatID != "" {
		// The chat was made, but the reply is no stream of it.
		if err := a.created(ctx, &coze.Chat{ID: e.ChatID, ConversationID: e.ConversationID}, e.LogID); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	chat, a.deltas = new(coze.Chat), newDeltaWriter(ctx, a.rec, a.publisher, a.chat.Stream)
	if err := a.read(ctx, stream, chat, span); err != nil {
		return chat, err
	}
	if at := stream.FirstAnswer(); !at.IsZero() {
		a.cfg.Metrics.FirstToken(at.Sub(started))
	}
	return chat, nil
}

// read reads a stream to its end, into its chat. The span may be nil.
func (a *attempt) read(ctx context.Context, stream *coze.Stream, chat *coze.Chat, span *telemetry.AskSpan) error {
	defer func() {
		a.events.came = stream.Began()
		_ = stream.Close() // it is read, or given up
	}()
	stream.Deltas = a.chat.Stream
	a.deltas.open()
	defer a.deltas.close()
	for event, err := range stream.Events() {
		chat.Accumulate(event)
		if chat.ID != "" && chat.ID != a.rec.Result.ChatID {
			span.Created(chat)
			if err := a.created(ctx, chat, stream.LogID()); err != nil {
				return err
			}
		}
		if other := stream.Stray(); other != "" && !a.events.strayed {
			a.events.strayed = true
			a.log.Warn("the stream has events of another chat, they are left out", "chat", chat.ID, "other", other)
		}
		if err != nil {
			chat.Messages = append(chat.Messages, stream.Drafts()...)
			a.keepPartial(chat)
			if e := chat.Err(); e != nil && errors.Is(e, coze.ErrAsksBack) {
				err = e // it quotes what the bot asks
			}
			return err
		}
		if event.Type == coze.EventMessageDelta {
			a.deltas.write(event.Message)
		}
	}
	if err := chat.Err(); err != nil {
		return err
	}
	return nil
}

// created notes the chat before its answer is read. If Redis cannot take the note now, the answer is read all the same: it is
// on its way and paid for. Only a newer attempt's hold on the task ends this one.
func (a *attempt) created(ctx context.Context, chat *coze.Chat, logID string) error {
	a.rec.LogID = logID
	r := &a.rec.Result
	r.Answer, r.ContentType, r.Parts, r.Reasoning, r.FollowUps, r.DebugURL = "", "", nil, "", nil, "" // an earlier chat's
	asked := r.ConversationID
	conversation := cmp.Or(chat.ConversationID, asked)
	if err := a.progress(ctx, conversation, chat.ID, time.Time{}); err != nil {
		a.log.Warn("could not note the chat in the journal, reading on", "chat", chat.ID, "err", err)
	}
	own := record.GivenChat{TaskID: a.id, ConversationID: conversation, ChatID: chat.ID, AskedAt: a.rec.AskedAt, Runs: true}
	a.hold.chat.Store(&own)
	err := a.rec.Created(ctx, conversation, chat.ID)
	if err == nil {
		noted := own
		noted.Noted = true
		a.hold.chat.Store(&noted)
	}
	a.hold.sending.Store(false)
	if err != nil && !errors.Is(err, record.ErrFenced) {
		a.log.Warn("could not note the chat, reading on", "chat", chat.ID, "err", err)
		err = nil
	}
	if key := a.chat.ConversationKey; err == nil && key != "" && conversation != asked {
		if err := a.conversations.Move(ctx, a.chat.Holder(), key, asked, conversation); err != nil {
			a.log.Warn("could not note where the conversation moved", "conversation", conversation, "err", err)
		}
	}
	return err
}

// complete makes sure that a completed chat has its answer. A stream can lack the completed message; the chat's list of
// messages then has it.
func (a *attempt) complete(ctx context.Context, chat *coze.Chat) (*coze.Chat, error) {
	if chat.HasAnswer() {
		return chat, nil
	}
	a.keepUsage(chat) // billed, with an answer or without
	chat.ConversationID = cmp.Or(chat.ConversationID, a.rec.Result.ConversationID)
	if err := a.readMessages(ctx, chat); err != nil {
		return nil, lookUpError(err)
	}
	return chat, nil
}

// unnamed handles a chat that completed with neither an answer nor an id. Its answer may be listed, if the chat is found.
func (a *attempt) unnamed(ctx context.Context, chat *coze.Chat) (*coze.Chat, error) {
	found, err := a.recoverChat(ctx)
	if found != nil || err != nil {
		return found, err
	}
	a.keepUsage(chat)
	a.markUnseen()
	return nil, errEmpty
}

// markUnseen marks a question as possibly asked twice if its stream had events of a chat, while find sees none in its
// conversation: the chat may have been made elsewhere.
func (a *attempt) markUnseen() {
	switch {
	case !a.events.came || a.rec.Result.PossibleDuplicate:
		return
	case a.events.strayed:
		a.warn("the reply to the question was of another chat, and none of its own was found")
	default:
		a.warn("the reply to the question was of a chat that it did not name, and none was found")
	}
	a.rec.Result.PossibleDuplicate = true
}
