package coze

// Lang is a language that the table of codes is written in.
type Lang string

// The languages.
const (
	English Lang = "en"
	Chinese Lang = "zh" // simplified
)

// Text is a text in each language. ZH uses the names of Coze's own Chinese pages.
type Text struct{ EN, ZH string }

// HintIn translates a hint of this package: records and pauses hold hints in English. Any other text comes back as it is.
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
	for _, text := range []Text{hintToken, hintProxy, hintTLS, hintUnreached, hintNoReply, hintReply, hintResume, hintTooLarge} { // without a code
		if text.EN == hint {
			return text.In(lang)
		}
	}
	return hint
}

// In returns the text in a language, in English if there is no other.
func (t Text) In(lang Lang) string {
	if lang == Chinese && t.ZH != "" {
		return t.ZH
	}
	return t.EN
}
