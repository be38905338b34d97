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

// ask puts the question to Coze and returns the chat with its answer. An error that leaves the chat's fate open leads to
// find or lookUp, never to a second ask within the attempt.
func (a *attempt) ask(ctx context.Context) (*coze.Chat, error) {
	conversation, err := a.conversation(ctx)
	if err != nil {
		return nil, err
	}
	r := &a.rec.Result
	if a.chat.Stream && (r.Attempts > 0 || a.rec.Waits > 0) {
		if err := a.rec.Delta(ctx, record.Delta{Type: record.DeltaReset}); err != nil {
			return nil, err
		}
	}
	if err := a.removeFailedTurn(ctx, conversation); err != nil {
		return nil, err
	}
	if a.rec.Made && a.chat.Recorded {
		r.PossibleDuplicate = true // the record was lost, with what it said of an earlier ask
	}
	err = a.permitToAsk(ctx, conversation)
	if errors.Is(err, record.ErrChatGiven) {
		return a.lookUp(ctx)
	}
	if err != nil {
		return nil, err
	}
	if a.rec.CancelRequested {
		a.rec.AskedAt = time.Time{}
		a.hold.stop(errCanceled)
		return nil, errCanceled
	}
	chat, err := a.send(ctx, conversation)
	switch {
	case err != nil:
		return a.unanswered(ctx, conversation, chat, err)
	case a.chat.IsWorkflow():
		return chat, nil // it may have no output
	case chat.ID == "" && !chat.HasAnswer():
		return a.unnamed(ctx, chat)
	}
	return a.complete(ctx, chat)
}

// send puts what the task asks to Coze.
func (a *attempt) send(ctx context.Context, conversation string) (*coze.Chat, error) {
	if a.chat.IsWorkflow() {
		return a.run(ctx)
	}
	return a.stream(ctx, conversation)
}

// permitToAsk writes the asked note and takes a permit, in one round trip. If it has to wait for the permit, the note is
// written again when the question is sent: see note.
func (a *attempt) permitToAsk(ctx context.Context, conversation string) error {
	draw, await := a.calls.permitToAsk()
	err := a.noteAsked(ctx, conversation, func(p redis.Cmdable) {
		draw(ctx, p)
		a.announce(ctx, p) // that it runs, which was written before
	})
	if err != nil {
		return err
	}
	began := a.noted
	err = await(ctx)
	a.spans.Permit(began, permitGiven(err), err)
	if err != nil {
		a.clearAsked(ctx, conversation)
		return err
	}
	a.cfg.Metrics.Permitted(time.Since(began))
	return nil
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

// chatEvents is which events the streams of an attempt had.
type chatEvents struct {
	came    bool // of a chat, in the last stream
	strayed bool // of another chat, in any
}
