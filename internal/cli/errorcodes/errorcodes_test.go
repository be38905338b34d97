package errorcodes

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/terminal"
)

// The documents are the table's, as it is now.
func TestErrorsManual(t *testing.T) {
	for lang, path := range map[coze.Lang]string{
		coze.English: "../../../docs/errors.md",
		coze.Chinese: "../../../docs/errors.zh-CN.md",
	} {
		var got bytes.Buffer
		if err := writeManual(&got, lang, coze.DefaultCodes().All()); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s is out of date: run go generate ./internal/cli/errorcodes", path)
		}
	}
}

// A text of an operator's own does not break the table that it stands in.
func TestErrorsManualEscapes(t *testing.T) {
	table, err := coze.DefaultCodes().Override(strings.NewReader(`{"4013": {"hint": "this | that\n\nor | those"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := writeManual(&got, coze.English, table.All()); err != nil {
		t.Fatal(err)
	}
	if want := `| model busy or rate limited | this \| that or \| those |` + "\n"; !strings.Contains(got.String(), want) {
		t.Errorf("no %q", want)
	}
}

// Whatever an operator makes of a code, cozeq says in both languages what it does
// about it, and tells apart what it does differently.
func TestActions(t *testing.T) {
	all := map[coze.Class]map[coze.Text]bool{}
	for _, class := range coze.Classes() {
		all[class] = map[coze.Text]bool{}
		for _, scope := range []coze.Scope{"", coze.ScopeBot, coze.ScopeAccount} {
			for _, tries := range []int{0, 1, 2, 3} {
				does := action(class, scope, tries)
				if does.EN == "" || does.ZH == "" || terminal.Columns(does.EN) != len(does.EN) || terminal.Columns(does.ZH) == len([]rune(does.ZH)) {
					t.Errorf("%s %s %d: %+v", class, scope, tries, does)
				}
				all[class][does] = true
			}
		}
	}
	for class, want := range map[coze.Class]int{
		coze.ClassPermanent: 2, // fails; the bot is paused
		coze.ClassAuth:      2, // the credential is paused; the bot
		coze.ClassQuota:     2,
		coze.ClassRate:      2,
		coze.ClassTransient: 5, // by asks; the bot is paused
	} {
		if got := len(all[class]); got != want {
			t.Errorf("%d actions of %s, want %d", got, class, want)
		}
	}
}
