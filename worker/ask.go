package worker

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/telemetry"
)

// ask puts the question to Coze and reads the answer. An error that leaves the chat's fate open leads to a search or a lookup,
// never to a second ask within the attempt.
func (a *attempt) ask(ctx context.Context) (state, error) {
	conversation, err := a.conversations.choose(ctx)
	if err != nil {
		return asking, err
	}
	r := &a.rec.Result
	if a.payload.Stream && (r.Attempts > 0 || a.rec.Waits > 0) {
		if err := a.pieces.reset(ctx); err != nil {
			return asking, err
		}
	}
	if err := a.conversations.removeFailedTurn(ctx, conversation); err != nil {
		return asking, err
	}
	if a.rec.Made && a.payload.Recorded {
		r.PossibleDuplicate = true // the record was lost, with what it said of an earlier ask
	}
	err = a.permitToAsk(ctx, conversation)
	switch {
	case errors.Is(err, record.ErrChatGiven):
		return lookingUp, nil
	case err != nil:
		return asking, err
	case a.rec.CancelRequested:
		a.rec.AskedAt = time.Time{}
		return asking, a.canceled()
	}
	if a.payload.IsWorkflow() {
		a.chat, err = a.workflow.run(ctx)
	} else {
		a.chat, err = a.sender.ask(ctx, conversation)
	}
	switch {
	case err != nil:
		return a.unanswered(ctx, conversation, err)
	case a.payload.IsWorkflow():
		return answered, nil // it may have no output
	case a.chat.ID == "" && !a.chat.HasAnswer():
		return a.unnamed(ctx)
	}
	return answered, a.complete(ctx)
}

// permitToAsk writes the asked note and takes a permit, in one round trip. If it has to wait for the permit, the note is
// written again when the question is sent: see askedNote.
func (a *attempt) permitToAsk(ctx context.Context, conversation string) error {
	err := a.notes.asking(ctx, conversation, func(p redis.Cmdable) {
		a.calls.requestToAsk(ctx, p)
		a.pieces.tellStatus(ctx, p) // that it runs, which was written before
	})
	if err != nil {
		return err
	}
	began := a.notes.at
	err = a.calls.awaitToAsk(ctx)
	a.spans.Permit(began, permitGiven(err), err)
	if err != nil {
		a.notes.refused(ctx, conversation)
		return err
	}
	a.cfg.Metrics.Permitted(time.Since(began))
	return nil
}

// sender sends a question, and reads streams.
type sender struct {
	*task
	notes  *notes
	pieces *pieces
}

// ask sends the question and reads its stream. The chat is noted as soon as an event names it.
func (s *sender) ask(ctx context.Context, conversation string) (chat *coze.Chat, err error) {
	started := time.Now()
	span := s.spans.Ask(s.coze, s.payload.Asked(), conversation)
	s.hold.sending.Store(true)
	defer s.hold.sending.Store(false)
	note := s.notes.consent(ctx, conversation)
	var stream *coze.Stream
	if s.payload.IsChatflow() {
		stream, err = s.coze.StreamChatflow(ctx, s.chatflowRequest(conversation, note))
	} else {
		stream, err = s.coze.Stream(ctx, s.chatRequest(conversation, note))
	}
	note.close()
	defer func() { span.End(stream, chat, err) }()
	if e, ok := errors.AsType[*coze.Error](err); ok && e.ChatID != "" {
		// The chat was made, but the reply is no stream of it.
		if err := s.notes.created(ctx, &coze.Chat{ID: e.ChatID, ConversationID: e.ConversationID}, e.LogID); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	chat = new(coze.Chat)
	s.pieces.start(ctx)
	if err := s.read(ctx, stream, chat, span); err != nil {
		return chat, err
	}
	if at := stream.FirstAnswer(); !at.IsZero() {
		s.cfg.Metrics.FirstToken(at.Sub(started))
	}
	return chat, nil
}

// read reads a stream to its end, into its chat. The span may be nil.
func (s *sender) read(ctx context.Context, stream *coze.Stream, chat *coze.Chat, span *telemetry.AskSpan) error {
	defer func() {
		s.events.came = stream.Began()
		_ = stream.Close() // it is read, or given up
	}()
	stream.Deltas = s.payload.Stream
	s.pieces.deltas.open()
	defer s.pieces.deltas.close()
	for event, err := range stream.Events() {
		chat.Accumulate(event)
		if chat.ID != "" && chat.ID != s.rec.Result.ChatID {
			span.Created(chat)
			if err := s.notes.created(ctx, chat, stream.LogID()); err != nil {
				return err
			}
		}
		if other := stream.Stray(); other != "" && !s.events.strayed {
			s.events.strayed = true
			s.log.Warn("the stream has events of another chat, they are left out", "chat", chat.ID, "other", other)
		}
		if err != nil {
			chat.Messages = append(chat.Messages, stream.Drafts()...)
			s.keepPartial(chat)
			if e := chat.Err(); e != nil && errors.Is(e, coze.ErrAsksBack) {
				err = e // it quotes what the bot asks
			}
			return err
		}
		if event.Type == coze.EventMessageDelta {
			s.pieces.deltas.write(event.Message)
		}
	}
	if e := chat.Err(); e != nil {
		return e
	}
	return nil
}

// complete makes sure that a completed chat has its answer. A stream can lack the completed message; the chat's list of
// messages then has it.
func (a *attempt) complete(ctx context.Context) error {
	if a.chat.HasAnswer() {
		return nil
	}
	a.keepUsage(a.chat) // billed, with an answer or without
	a.chat.ConversationID = cmp.Or(a.chat.ConversationID, a.rec.Result.ConversationID)
	return lookUpError(a.lookup.readMessages(ctx, a.chat))
}
