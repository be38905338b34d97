package coze

// Lang is a language that the table of codes is written in.
type Lang string

// The languages.
const (
	English Lang = "en"
	Chinese Lang = "zh" // simplified
)

// Text is the same words in each language. What Coze's users see at Coze has the name there that it has in ZH.
type Text struct{ EN, ZH string }

// HintIn gives one of the table's hints in another language, as records and pauses hold them in English. Other words it
// gives back as they are.
func (t *CodeTable) HintIn(lang Lang, hint string) string {
	if lang == English || hint == "" {
		return hint
	}
	for _, row := range t.rows {
		if row.Hint.EN == hint {
			return row.Hint.In(lang)
		}
	}
	for _, text := range classHints {
		if text.EN == hint {
			return text.In(lang)
		}
	}
	for _, text := range []Text{hintToken, hintProxy, hintTLS, hintUnreached, hintNoReply, hintReply, hintTooLarge} { // without a code
		if text.EN == hint {
			return text.In(lang)
		}
	}
	return hint
}

// In gives the text in a language, in English where that is all there is.
func (t Text) In(lang Lang) string {
	if lang == Chinese && t.ZH != "" {
		return t.ZH
	}
	return t.EN
}
