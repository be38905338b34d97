package worker

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// taskTag is the key in the question's meta_data that carries the task's id: by
// it a question is found again in its conversation.
const taskTag = "cozeq_task"

// ask puts the question to Coze and reads the answer.
func (a *attempt) ask(ctx context.Context) (*coze.Chat, error) {
	conversation, err := a.conversation(ctx)
	if err != nil {
		return nil, err
	}
	r := &a.rec.Result
	if a.chat.Stream && (r.Attempts > 0 || a.rec.Waits > 0) {
		if err := a.rec.Delta(ctx, results.Delta{Type: results.DeltaReset}); err != nil {
			return nil, err
		}
	}
	if err := a.removeFailedTurn(ctx, conversation); err != nil {
		return nil, err
	}
	if a.rec.Made && (a.chat.LaneSeq > 0 || a.ofBatch()) {
		// Its producer made a record, and that is gone: nobody knows what it said. Of a
		// task that another program has enqueued there may never have been one.
		r.PossibleDuplicate = true
	}
	err = a.asking(ctx, conversation)
	if errors.Is(err, results.ErrChatGiven) {
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
	chat, err := a.stream(ctx, conversation)
	switch {
	case err == nil && chat.ID == "" && !chat.HasAnswer():
		return a.unnamed(ctx, chat)
	case err == nil:
		return a.complete(ctx, chat)
	}
	e, ok := errors.AsType[*coze.Error](err)
	if !ok || ctx.Err() != nil {
		return nil, err
	}
	switch {
	case errors.Is(err, results.ErrFenced):
		return nil, err
	case errors.Is(err, results.ErrChatGiven):
		return a.lookUp(ctx)
	case errors.Is(err, errCanceled):
		a.clearAsked(ctx, conversation)
		a.hold.stop(errCanceled)
		return nil, errCanceled
	case e.Zone == coze.ZoneRefused && e.Class == coze.ClassBusy && a.ownConversation():
		return a.busyWithOurs(ctx, e)
	case e.Zone == coze.ZoneRefused:
		a.clearAsked(ctx, conversation)
		return a.refused(ctx, e)
	case e.Zone == coze.ZoneUnknown:
		found, findErr := a.find(ctx)
		if findErr != nil {
			return nil, findErr
		}
		if !found {
			a.madeUnseen()
			return nil, err
		}
		return a.lookUp(ctx)
	case e.Ended:
		return nil, a.ended(ctx, e)
	default:
		a.log.Info("stream broke, looking the chat up", "chat", r.ChatID, "err", err)
		return a.lookUp(ctx)
	}
}

// stream asks and folds the events, noting the chat as soon as it is known.
func (a *attempt) stream(ctx context.Context, conversation string) (chat *coze.Chat, err error) {
	started := time.Now()
	span := a.spans.Ask(a.coze, a.chat.BotID, conversation)
	a.hold.sending.Store(true)
	defer a.hold.sending.Store(false)
	note, request := a.note(ctx, conversation), a.request(conversation)
	request.BeforeSend = note.leave
	stream, err := a.coze.Stream(ctx, request)
	note.close()
	defer func() { span.End(stream, chat, err) }()
	if e, ok := errors.AsType[*coze.Error](err); ok && e.ChatID != "" {
		// The chat was made, but what came back is no stream of it.
		if err := a.created(ctx, &coze.Chat{ID: e.ChatID, ConversationID: e.ConversationID}, e.LogID); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		a.heard = stream.Began()
		_ = stream.Close() // it is read, or given up
	}()
	stream.Deltas = a.chat.Stream
	deltas := newDeltaWriter(ctx, a.rec, a.chat.Stream)
	defer deltas.close()

	chat = new(coze.Chat)
	for event, err := range stream.Events() {
		chat.Accumulate(event)
		if chat.ID != "" && chat.ID != a.rec.Result.ChatID {
			span.Created(chat)
			if err := a.created(ctx, chat, stream.LogID()); err != nil {
				return chat, err
			}
		}
		if other := stream.Stray(); other != "" && !a.strayed {
			a.strayed = true
			a.log.Warn("the stream has events of another chat, they are left out", "chat", chat.ID, "other", other)
		}
		if err != nil {
			chat.Messages = append(chat.Messages, stream.Drafts()...)
			a.keepPartial(chat)
			if e := chat.Err(); e != nil && errors.Is(e, coze.ErrAsksBack) {
				err = e // it quotes what the bot asks
			}
			return chat, err
		}
		if event.Type == coze.EventMessageDelta {
			deltas.write(event.Message)
		}
	}
	if at := stream.FirstAnswer(); !at.IsZero() {
		a.cfg.Metrics.FirstToken(at.Sub(started))
	}
	if err := chat.Err(); err != nil {
		return chat, err
	}
	return chat, nil
}

// created notes the chat before its answer is read, whatever first named it. If Redis cannot take the note
// now the answer is read all the same: it is on its way and paid for. Only the
// word that somebody else has the task ends the attempt.
func (a *attempt) created(ctx context.Context, chat *coze.Chat, logID string) error {
	a.rec.LogID = logID
	r := &a.rec.Result
	r.Answer, r.ContentType, r.Parts, r.Reasoning, r.FollowUps = "", "", nil, "", nil // an earlier chat's
	asked := a.rec.Result.ConversationID
	conversation := cmp.Or(chat.ConversationID, asked)
	if err := a.progress(ctx, conversation, chat.ID, time.Time{}); err != nil {
		a.log.Warn("could not note the chat in the journal, reading on", "chat", chat.ID, "err", err)
	}
	own := results.GivenChat{TaskID: a.id, ConversationID: conversation, ChatID: chat.ID, AskedAt: a.rec.AskedAt, Runs: true}
	a.hold.chat.Store(&own)
	err := a.rec.Created(ctx, conversation, chat.ID)
	if err == nil {
		noted := own
		noted.Noted = true
		a.hold.chat.Store(&noted)
	}
	a.hold.sending.Store(false)
	if err != nil && !errors.Is(err, results.ErrFenced) {
		a.log.Warn("could not note the chat, reading on", "chat", chat.ID, "err", err)
		err = nil
	}
	if key := a.chat.ConversationKey; err == nil && key != "" && conversation != asked {
		if err := a.conversations.Move(ctx, a.chat.BotID, key, asked, conversation); err != nil {
			a.log.Warn("could not note where the conversation moved", "conversation", conversation, "err", err)
		}
	}
	return err
}

// madeUnseen marks a question whose reply had events of a chat, while none is found in its
// conversation: the chat may have been made where nobody looks for it.
func (a *attempt) madeUnseen() {
	switch {
	case !a.heard || a.rec.Result.PossibleDuplicate:
		return
	case a.strayed:
		a.warn("the reply to the question was of another chat, and none of its own was found")
	default:
		a.warn("the reply to the question was of a chat that it did not name, and none was found")
	}
	a.rec.Result.PossibleDuplicate = true
}

// complete checks that a chat that completed has its answer. A stream can lack
// the completed message although the chat has one: then the list has it.
func (a *attempt) complete(ctx context.Context, chat *coze.Chat) (*coze.Chat, error) {
	if chat.HasAnswer() {
		return chat, nil
	}
	a.keepUsage(chat) // billed, whether it has an answer or not
	chat.ConversationID = cmp.Or(chat.ConversationID, a.rec.Result.ConversationID)
	if err := a.readMessages(ctx, chat); err != nil {
		return nil, lookUpError(err)
	}
	return chat, nil
}

// unnamed handles a chat that completed with neither an answer nor an id: its answer may be
// listed, if the chat is found.
func (a *attempt) unnamed(ctx context.Context, chat *coze.Chat) (*coze.Chat, error) {
	found, err := a.find(ctx)
	switch {
	case err != nil:
		return nil, err
	case found:
		return a.lookUp(ctx)
	}
	a.keepUsage(chat)
	a.madeUnseen()
	return nil, errEmpty
}

// refused handles an ask that made no chat. A conversation that is gone is made
// anew, once, and asked in again at once: nothing was spent.
func (a *attempt) refused(ctx context.Context, e *coze.Error) (*coze.Chat, error) {
	if a.recreated || !a.conversationGone(ctx, e) {
		return nil, e
	}
	a.recreated = true
	gone := a.rec.Result.ConversationID
	a.forgetConversation(ctx)
	if a.chat.ConversationKey != "" {
		a.warn("conversation " + gone + " was gone at Coze: this question was asked in a new one, without what was said before")
	}
	return a.ask(ctx)
}

// busyWithOurs handles the word that a chat is active in a conversation in which
// nobody but this task asks: an earlier ask was taken after all, and Coze did not
// list it yet when we looked. Until it does the ask counts as one without a reply.
func (a *attempt) busyWithOurs(ctx context.Context, e *coze.Error) (*coze.Chat, error) {
	asked := a.rec.AskedAt
	found, err := a.find(ctx)
	if err != nil {
		return nil, err
	}
	if found {
		return a.lookUp(ctx)
	}
	if a.rec.Result.ConversationID != "" { // unless it is given up, with possible_duplicate set
		a.rec.AskedAt = asked
	}
	return nil, e
}

// conversationGone tells a conversation that is gone, and is ours to make anew,
// from other refusals. 4200 may as well mean the bot, the token or the region, so
// the conversation itself is asked for.
func (a *attempt) conversationGone(ctx context.Context, e *coze.Error) bool {
	if a.chat.ConversationID != "" {
		return false
	}
	switch e.Code {
	case codeConversationUnknown:
		return true
	case codeNotFound:
		_, err := a.coze.RetrieveConversation(ctx, a.rec.Result.ConversationID)
		retrieve, ok := errors.AsType[*coze.Error](err)
		return ok && (retrieve.Code == codeConversationUnknown || retrieve.Code == codeNotFound)
	}
	return false
}

// Coze's codes that decide more than a class.
const (
	codeChatUnknown         = 4001
	codeConversationUnknown = 4002
	codeNotFound            = 4200
)

// ended handles a chat that is known to have ended without an answer. The next
// ask is a new chat; it starts from a clean conversation where nobody needs this
// one, as the question already stands in it. A chat that waits for tools keeps its
// conversation busy, so nobody uses that again.
func (a *attempt) ended(ctx context.Context, e *coze.Error) error {
	a.over(a.rec.Result.ChatID)
	switch {
	case errors.Is(e, coze.ErrAsksBack): // it is answered there
	case e.Class == coze.ClassAction:
		a.forgetConversation(ctx)
	case a.ownConversation():
		a.rec.Result.ConversationID = ""
	}
	a.rec.AskedAt = time.Time{}
	return e
}

// over notes a chat that has ended without an answer, and where that was: a task that
// is not asked again says so in its record, for whoever asks Coze's support.
func (a *attempt) over(chatID string) {
	a.rec.EndedChat, a.rec.Result.ChatID = chatID, ""
	a.hold.chat.Store(nil)
	if a.ownConversation() {
		a.rec.EndedConversation = a.rec.Result.ConversationID
	}
}

func (a *attempt) request(conversation string) *coze.ChatRequest {
	messages := make([]coze.Message, len(a.chat.AdditionalMessages))
	for i, m := range a.chat.AdditionalMessages {
		messages[i] = coze.Message{
			Role:        coze.Role(m.Role),
			Type:        coze.MessageType(m.Type),
			Content:     m.Content,
			ContentType: coze.ContentType(m.ContentType),
			MetaData:    m.MetaData,
		}
		if m.ContentType == "" {
			messages[i].ContentType = coze.ContentText
		}
	}
	question := &messages[len(messages)-1]
	meta := make(map[string]string, len(question.MetaData)+1)
	for key, value := range question.MetaData {
		meta[key] = value
	}
	meta[taskTag] = a.id
	question.MetaData = meta
	return &coze.ChatRequest{
		ConversationID:     conversation,
		BotID:              a.chat.BotID,
		UserID:             a.chat.UserID,
		AdditionalMessages: messages,
		AutoSaveHistory:    a.chat.AutoSaveHistory,
		CustomVariables:    a.chat.CustomVariables,
		MetaData:           a.chat.MetaData,
		ExtraParams:        a.chat.ExtraParams,
		Parameters:         a.chat.Parameters,
	}
}

// progress tells Config.OnProgress.
func (a *attempt) progress(ctx context.Context, conversation, chat string, asked time.Time) error {
	if a.cfg.OnProgress == nil {
		return nil
	}
	return a.cfg.OnProgress(ctx, Progress{
		ID:              a.id,
		BotID:           a.chat.BotID,
		ConversationKey: a.chat.ConversationKey,
		ConversationID:  conversation,
		ChatID:          chat,
		AskedAt:         asked,
	})
}

func (a *attempt) warn(text string) {
	a.log.Warn(text)
	a.rec.Result.Warnings = append(a.rec.Result.Warnings, text)
}

// historySaved reports whether Coze keeps the question and the chat: without that
// neither can be looked up.
func historySaved(chat *tasks.Chat) bool {
	return chat.AutoSaveHistory == nil || *chat.AutoSaveHistory
}
