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

// In gives the text in a language, in English where that is all there is.
func (t Text) In(lang Lang) string {
	if lang == Chinese && t.ZH != "" {
		return t.ZH
	}
	return t.EN
}
