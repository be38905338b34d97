package cozetest

import (
	"cmp"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// say decides what a chat will answer. files are the names of those that were uploaded for the question. The caller holds mu.
func (f *Fake) say(c *chat, question string, files []string) {
	ft := c.fault
	text, silent := ft.Answer, ft.Empty
	switch {
	case len(c.calls) > 0:
		text, silent = ft.Says, ft.Says == ""
	case text != "":
	case f.cfg.Answer != nil:
		text = f.cfg.Answer(question)
	default:
		text = canned(c, question, f)
		if len(files) > 0 {
			text += " I have seen " + strings.Join(files, " and ") + "."
		}
		for _, o := range c.given {
			text += " " + o.name + " gave " + o.output + "."
		}
	}
	if ft.Size > 0 {
		text = sized(text, ft.Size)
	}
	if ft.Reasoning {
		c.reasoning = "The question is: " + question
	}
	c.usage.output = tokens(c.reasoning)
	m := storedMessage{
		conversationID: c.convID, botID: c.botID, chatID: c.id, sectionID: c.conv.sectionID,
		role: "assistant", kind: "answer", contentType: cmp.Or(ft.Type, "text"), createdAt: c.createdAt,
	}
	if !silent {
		n := max(ft.Answers, 1)
		for i := range n {
			m.id, m.content = f.id(), text
			if i > 0 {
				m.content = fmt.Sprintf("%s (%d of %d)", text, i+1, n)
			}
			c.usage.output += tokens(m.content)
			c.answers = append(c.answers, m)
		}
	}
	if len(c.calls) > 0 {
		return
	}
	m.id, m.kind, m.content, m.contentType = f.id(), "verbose", finishNote, "text"
	c.rest = append(c.rest, m)
	for _, s := range suggestions[:f.cfg.followUps()] {
		m.id, m.kind, m.content = f.id(), "follow_up", s
		c.rest = append(c.rest, m)
	}
}

// finishNote is Coze's word that all answers are there. It is not the chat's end.
const finishNote = `{"msg_type":"generate_answer_finish","data":"{\"finish_reason\":0,\"FinData\":\"\"}","from_module":null,"from_unit":null}`

var suggestions = []string{"Can you say more about that?", "What is an example of it?", "Why is it so?"}

// canned is the default answer. It shows whether the conversation's context
// reached the bot: chats that were canceled are not part of it.
func canned(own *chat, question string, f *Fake) string {
	turn, before := 1, ""
	for _, c := range own.conv.chats {
		if c.id == own.id || c.status == statusCanceled || !c.saved || c.unasked {
			continue
		}
		turn++
		before = c.question
	}
	if turn == 1 {
		return `Mock answer to "` + question + `".`
	}
	if plain, _, err := f.directives(before); err == nil {
		before = plain
	}
	return fmt.Sprintf(`Mock answer to "%s" (turn %d, after "%s").`, question, turn, before)
}

// sized is text repeated or cut to n bytes of whole characters; what is missing
// to n is filled with dots.
func sized(text string, n int) string {
	text += " "
	s := strings.Repeat(text, n/len(text)+1)[:n]
	for len(s) > 0 {
		if r, w := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || w > 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return s + strings.Repeat(".", n-len(s))
}

func countPieces(text string, n int) int { return min(n, utf8.RuneCountInString(text)) }

// pieces cuts a text into n pieces of about the same number of characters.
func pieces(text string, n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		runes := utf8.RuneCountInString(text)
		n = min(n, runes)
		for i := range n {
			end := 0
			for range (i+1)*runes/n - i*runes/n {
				_, w := utf8.DecodeRuneInString(text[end:])
				end += w
			}
			if !yield(text[:end]) {
				return
			}
			text = text[end:]
		}
	}
}
