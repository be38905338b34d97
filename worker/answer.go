package worker

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
)

// keepUsage notes what Coze counted, where it tells.
func (a *attempt) keepUsage(chat *coze.Chat) {
	if u := chat.Usage; u != nil && u.TokenCount > 0 {
		a.rec.Result.Usage = &results.Usage{
			TokenCount: u.TokenCount, OutputCount: u.OutputCount, InputCount: u.InputCount,
		}
	}
}

// fill takes the answer over into the record.
func (a *attempt) fill(chat *coze.Chat) {
	r := &a.rec.Result
	r.Status, r.Error = results.Completed, nil
	a.keepText(chat)
	a.keepUsage(chat)
	if chat.ID != "" {
		r.ChatID = chat.ID
	}
	if chat.ConversationID != "" {
		r.ConversationID = chat.ConversationID
	}
}

// keepText takes over what the bot said.
func (a *attempt) keepText(chat *coze.Chat) {
	r := &a.rec.Result
	r.Answer, r.Reasoning, r.FollowUps = a.cut("answer", chat.Answer()), a.cut("reasoning", chat.Reasoning()), chat.FollowUps()
	r.ContentType, r.Parts = "", nil
	if kind := chat.AnswerType(); kind != coze.ContentText {
		r.ContentType = string(kind)
	}
	answers := chat.Answers()
	isText := func(m coze.Message) bool { return cmp.Or(m.ContentType, coze.ContentText) == coze.ContentText }
	if len(answers) < 2 || !slices.ContainsFunc(answers, func(m coze.Message) bool { return !isText(m) }) {
		return
	}
	for _, m := range answers {
		r.Parts = append(r.Parts, results.Part{ContentType: string(cmp.Or(m.ContentType, coze.ContentText)), Content: m.Content})
	}
}

// keepPartial takes over what the bot said before its chat ended without completing, or
// before its stream did: if nothing better comes, that belongs to the record.
func (a *attempt) keepPartial(chat *coze.Chat) {
	a.keepUsage(chat) // a chat that failed is billed all the same
	if chat.HasAnswer() || chat.Reasoning() != "" {
		a.keepText(chat)
	}
}

// maxText is the most bytes of an answer, or of reasoning, that a record takes, if
// coze.Client.MaxEvent is not more: as much as one message may have, so that only what is
// joined of several is ever cut. Redis keeps it, publishes it, and may have a thousand at a time.
const maxText = 8 << 20

// cut shortens a text to maxText, and says so.
func (a *attempt) cut(what, text string) string {
	n := max(maxText, a.coze.MaxEvent)
	if len(text) <= n {
		return text
	}
	for !utf8.RuneStart(text[n]) {
		n--
	}
	a.warn(fmt.Sprintf("the %s had %d bytes, and is cut to %d", what, len(text), n))
	return text[:n]
}
