package input

import (
	"regexp"
	"strings"
)

// QuoteFormula puts a ' before a text that a spreadsheet would run, as people do when they type one. A text that begins
// with such a ' gets one more, so that UnquoteFormula restores it.
func QuoteFormula(cell string) string {
	if isFormula(strings.TrimLeft(cell, "'")) {
		return "'" + cell
	}
	return cell
}

func UnquoteFormula(cell string) string {
	if text, ok := strings.CutPrefix(cell, "'"); ok && isFormula(strings.TrimLeft(text, "'")) {
		return text
	}
	return cell
}

// formulaStarts are the characters that OWASP names, and their full-width forms, which Chinese and Japanese keyboards give
// and spreadsheets there treat as the same.
const formulaStarts = "=+-@\t\r\n＝＋－＠"

// number is what a spreadsheet reads as a number, not as a formula: -5, +1,234.50, -12%, -1.5E-7.
var number = regexp.MustCompile(`^[+-](\d+([.,]\d+)*|\.\d+)([eE][+-]?\d+)?%?$`)

func isFormula(cell string) bool {
	for _, first := range cell {
		return strings.ContainsRune(formulaStarts, first) && !number.MatchString(cell)
	}
	return false
}
