package coze_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/cozeq/cozeq/coze"
)

// checkTexts wants a phrase and one sentence, in both languages.
func checkTexts(t *testing.T, meaning, hint coze.Text) {
	t.Helper()
	checkPhrase(t, meaning)
	if !strings.HasSuffix(hint.EN, ".") || strings.Contains(hint.EN, ". ") || han(hint.EN) {
		t.Errorf("hint %q: want one English sentence", hint.EN)
	}
	if !strings.HasSuffix(hint.ZH, "。") || strings.Count(hint.ZH, "。") > 1 || !han(hint.ZH) {
		t.Errorf("hint %q: want one Chinese sentence", hint.ZH)
	}
	checkPunctuation(t, hint.ZH)
}

func checkPhrase(t *testing.T, phrase coze.Text) {
	t.Helper()
	if phrase.EN == "" || strings.HasSuffix(phrase.EN, ".") || han(phrase.EN) {
		t.Errorf("%q: want an English phrase", phrase.EN)
	}
	if strings.HasSuffix(phrase.ZH, "。") || !han(phrase.ZH) {
		t.Errorf("%q: want a Chinese phrase", phrase.ZH)
	}
	checkPunctuation(t, phrase.ZH)
}

// checkPunctuation wants Chinese text to have Chinese stops, and a space where a Latin word meets a Han character.
func checkPunctuation(t *testing.T, zh string) {
	t.Helper()
	var last rune
	for _, r := range zh {
		if strings.ContainsRune(",;:?!()", r) {
			t.Errorf("%q: %q is no Chinese stop", zh, r)
		}
		if latin(last) && unicode.Is(unicode.Han, r) || unicode.Is(unicode.Han, last) && latin(r) {
			t.Errorf("%q: no space between %q and %q", zh, last, r)
		}
		last = r
	}
}

func han(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

func latin(r rune) bool { return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

func TestTextIn(t *testing.T) {
	both, one := coze.Text{EN: "yes", ZH: "是"}, coze.Text{EN: "yes"}
	for _, tt := range []struct {
		text coze.Text
		lang coze.Lang
		want string
	}{
		{both, coze.English, "yes"},
		{both, coze.Chinese, "是"},
		{both, "", "yes"},
		{both, "fr", "yes"},
		{one, coze.Chinese, "yes"},
	} {
		if got := tt.text.In(tt.lang); got != tt.want {
			t.Errorf("%v in %q = %q, want %q", tt.text, tt.lang, got, tt.want)
		}
	}
}

// Every class is explained, and every class that a code has is a class that there is.
func TestClasses(t *testing.T) {
	known := map[coze.Class]bool{}
	for _, class := range coze.Classes() {
		if known[class] {
			t.Errorf("%s is repeated", class)
		}
		known[class] = true
		checkPhrase(t, class.Meaning())
		if class != coze.ClassCanceled && class != coze.ClassExpired { // nothing to do
			checkTexts(t, class.Meaning(), class.Hint())
		}
	}
	if len(known) != 13 {
		t.Errorf("%d classes, want the contract's 13", len(known))
	}
	for _, row := range coze.DefaultCodes().All() {
		if !known[row.Class] {
			t.Errorf("%d has the unknown class %q", row.Code, row.Class)
		}
	}
	if got := coze.Class("often").Meaning(); got != (coze.Text{}) {
		t.Errorf("a class that there is not means %v", got)
	}
}

// An operator's words are said in every language, or in each by its own.
func TestOverrideTexts(t *testing.T) {
	was, _ := coze.DefaultCodes().Lookup(4013)
	for change, want := range map[string]coze.Code{
		`{"4013": {"hint": "Ask Ann."}}`:                            {Meaning: was.Meaning, Hint: coze.Text{EN: "Ask Ann.", ZH: "Ask Ann."}},
		`{"4013": {"zh": {"hint": "请问小安。"}}}`:                       {Meaning: was.Meaning, Hint: coze.Text{EN: was.Hint.EN, ZH: "请问小安。"}},
		`{"4013": {"meaning": "slow", "zh": {"meaning": "慢"}}}`:     {Meaning: coze.Text{EN: "slow", ZH: "慢"}, Hint: was.Hint},
		`{"4013": {"class": "permanent"}}`:                          {Meaning: was.Meaning, Hint: coze.ClassPermanent.Hint()},
		`{"4013": {"class": "quota", "zh": {"hint": "请问小安。"}}}`:     {Meaning: was.Meaning, Hint: coze.Text{EN: coze.ClassQuota.Hint().EN, ZH: "请问小安。"}},
		`{"4013": {"tries": 2}, "4014": {"zh": {"meaning": "别的"}}}`: {Meaning: was.Meaning, Hint: was.Hint},
	} {
		table, err := coze.DefaultCodes().Override(strings.NewReader(change))
		if err != nil {
			t.Errorf("%s: %v", change, err)
			continue
		}
		if got, _ := table.Lookup(4013); got.Meaning != want.Meaning || got.Hint != want.Hint {
			t.Errorf("%s: %+v", change, got)
		}
	}
	table, err := coze.DefaultCodes().Override(strings.NewReader(`{"31337": "rate"}`))
	if err != nil {
		t.Fatal(err)
	}
	row, _ := table.Lookup(31337)
	checkTexts(t, row.Meaning, row.Hint)
}

// What Coze means by a code, for people who read Chinese.
func ExampleText_In() {
	row, _ := coze.DefaultCodes().Lookup(4015)
	fmt.Println(row.Meaning.In(coze.Chinese))
	fmt.Println(row.Hint.In(coze.English))
	// Output:
	// 智能体未发布到 API 渠道
	// Publish the bot to the API channel at Coze.
}

// TestHintIn holds that each hint of the sources is said in Chinese, too, also one that no code and no class has.
func TestHintIn(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "hints.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		text, ok := n.(*ast.CompositeLit)
		if !ok || len(text.Elts) != 2 {
			return true
		}
		if en, ok := text.Elts[0].(*ast.BasicLit); ok {
			hint, err := strconv.Unquote(en.Value)
			if err != nil {
				t.Fatal(err)
			}
			found++
			if zh := coze.DefaultCodes().HintIn(coze.Chinese, hint); !han(zh) {
				t.Errorf("%q in Chinese is %q", hint, zh)
			}
		}
		return true
	})
	if found < 20 {
		t.Errorf("found only %d hints", found)
	}
}
