package spreadsheet

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

var (
	scientific = regexp.MustCompile(`^-?\d(\.\d+)?E[+-]?\d+$`)
	digitsOnly = regexp.MustCompile(`^-?\d+$`)
	plainly    = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?$`)
)

// exactDigits is how many digits a number of a spreadsheet holds for sure.
const exactDigits = 15

// number corrects what a number shows, and tells what it is. A spreadsheet shows a whole number of 12 digits or more as
// 7.34287E+17, and rounds it where it is shown in full. People take such a cell for what they put in, an id, so it is
// given with the digits that are stored.
func number(stored, shown string) (text string, m Mark) {
	value, err := strconv.ParseFloat(stored, 64)
	if err != nil || math.IsInf(value, 0) || math.IsNaN(value) {
		return shown, Text
	}
	text = shown
	if scientific.MatchString(shown) || digitsOnly.MatchString(shown) && len(stored) > exactDigits {
		if whole := wholeNumber(stored); whole != "" && (scientific.MatchString(shown) || len(whole) > exactDigits) {
			text = whole
		}
	}
	if digits := strings.TrimLeft(text, "-0"); digitsOnly.MatchString(text) && len(digits) > exactDigits {
		if strings.Trim(digits[exactDigits:], "0") == "" || strings.ContainsAny(stored, "eE.") {
			return text, Rounded
		}
		return text, Text // another program than a spreadsheet wrote all digits
	}
	if !plainly.MatchString(text) || len(strings.TrimLeft(text, "-0")) > exactDigits {
		return text, Text
	}
	if seen, err := strconv.ParseFloat(text, 64); err != nil || seen != value {
		return text, Text
	}
	return text, Number
}

// wholeNumber writes a number out, "" if it is not a whole one. Exponents are a float64's, so it has at most 309 digits.
func wholeNumber(stored string) string {
	r, ok := new(big.Rat).SetString(stored)
	if !ok || !r.IsInt() {
		return ""
	}
	return r.Num().String()
}
