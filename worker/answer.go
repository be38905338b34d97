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
func (t *task) fill(chat *coze.Chat) {
	r := &t.rec.Result
	r.Status, r.Error = results.Completed, nil
	r.ChatID, r.ConversationID = cmp.Or(chat.ID, r.ChatID), cmp.Or(chat.ConversationID, r.ConversationID)
	t.keepText(chat)
	t.keepUsage(chat)
	r.AsksBack = t.cut("question", chat.AsksBack())
}

// keepUsage takes over what Coze counted, if it says so: all rounds of tools together. Beside it comes the page that shows
// a chatflow's run.
func (t *task) keepUsage(chat *coze.Chat) {
	t.rec.Result.DebugURL = cmp.Or(chat.DebugURL, t.rec.Result.DebugURL)
	if used := t.usedBy(chat); used.TokenCount > 0 {
		t.rec.Result.Usage = &used
	}
}

// keepText takes over what the bot said.
func (t *task) keepText(chat *coze.Chat) {
	r := &t.rec.Result
	r.Answer, r.Reasoning, r.FollowUps = t.cut("answer", chat.Answer()), t.cut("reasoning", chat.Reasoning()), chat.FollowUps()
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
func (t *task) keepPartial(chat *coze.Chat) {
	t.keepUsage(chat) // a failed chat is billed too
	if chat.HasAnswer() || chat.Reasoning() != "" {
		t.keepText(chat)
	}
}

// maxText is the most bytes of an answer, or of reasoning, in a record, unless coze.Client.MaxEvent is more. One message may
// have as much, so only the join of several is ever cut. Redis stores and publishes it, and may have a thousand at a time.
const maxText = 8 << 20

// cut shortens a text to maxText, with a warning.
func (t *task) cut(what, text string) string {
	n := max(maxText, t.coze.MaxEvent)
	if len(text) <= n {
		return text
	}
	for !utf8.RuneStart(text[n]) {
		n--
	}
	t.warn(fmt.Sprintf("the %s had %d bytes, and is cut to %d", what, len(text), n))
	return text[:n]
}
