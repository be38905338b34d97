package worker

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
)

// fill takes a completed chat over into the record.
func (a *attempt) fill(chat *coze.Chat) {
	r := &a.rec.Result
	r.Status, r.Error = results.Completed, nil
	r.ChatID, r.ConversationID = cmp.Or(chat.ID, r.ChatID), cmp.Or(chat.ConversationID, r.ConversationID)
	a.keepText(chat)
	a.keepUsage(chat)
	r.AsksBack = a.cut("question", chat.AsksBack())
}

// keepUsage takes over what Coze counted, if it says so: all rounds of tools together. Beside it comes the page that shows
// a chatflow's run.
func (a *attempt) keepUsage(chat *coze.Chat) {
	a.rec.Result.DebugURL = cmp.Or(chat.DebugURL, a.rec.Result.DebugURL)
	if used := a.usedBy(chat); used.TokenCount > 0 {
		a.rec.Result.Usage = &used
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
	kindOf := func(m coze.Message) coze.ContentType { return cmp.Or(m.ContentType, coze.ContentText) }
	answers := chat.Answers()
	if len(answers) < 2 || !slices.ContainsFunc(answers, func(m coze.Message) bool { return kindOf(m) != coze.ContentText }) {
		return
	}
	for _, m := range answers {
		r.Parts = append(r.Parts, results.Part{ContentType: string(kindOf(m)), Content: m.Content})
	}
}

// keepPartial takes over what the bot said before its chat or its stream ended early. It stays unless something better comes.
func (a *attempt) keepPartial(chat *coze.Chat) {
	a.keepUsage(chat) // a failed chat is billed too
	if chat.HasAnswer() || chat.Reasoning() != "" {
		a.keepText(chat)
	}
}

// maxText is the most bytes of an answer, or of reasoning, in a record, unless coze.Client.MaxEvent is more. One message may
// have as much, so only the join of several is ever cut. Redis stores and publishes it, and may have a thousand at a time.
const maxText = 8 << 20

// cut shortens a text to maxText, with a warning.
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
