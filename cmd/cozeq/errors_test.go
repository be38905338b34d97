package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/terminal"
)

// The documents are the table's, as it is now.
func TestErrorsManual(t *testing.T) {
	for lang, path := range map[coze.Lang]string{
		coze.English: "../../docs/errors.md",
		coze.Chinese: "../../docs/errors.zh-CN.md",
	} {
		var got bytes.Buffer
		if err := writeErrorsManual(&got, lang, coze.DefaultCodes().All()); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s is out of date: go generate ./cmd/cozeq writes it anew", path)
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
	if err := writeErrorsManual(&got, coze.English, table.All()); err != nil {
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

func TestChineseOnTerminal(t *testing.T) {
	out, _, code := onTerminal(t, 60, false, "errors", "4028", "--lang", "zh")
	if code != exitcode.OK {
		t.Fatalf("exit code %d", code)
	}
	const want = `错误码        4028
含义          免费额度或资源点已用完
类别          quota
类别说明      额度用尽：额度或余额已耗尽
范围          account：使用该凭证的所有问题
cozeq 的处理  暂停该凭证：相关问题排队等待，不消耗尝试次数；
              30 秒后用其中一个探测，之后间隔逐渐拉长（最长
              10 分钟），一旦成功便自动全部恢复；自带 worker
              的 run 和 ask 不会久等，以退出码 4 结束
建议          请在扣子中购买套餐或资源点，然后继续：免费额度
              用完后不会恢复。
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}

	out, _, _ = onTerminal(t, 60, false, "errors", "auth", "--lang", "zh")
	_, list, found := strings.Cut(out, "\n\n")
	if !found || !strings.HasPrefix(list, "错误码     类别  范围     含义\n4100       auth  account  身份验证无效\n") {
		t.Errorf("the list of codes is not aligned:\n%s", out)
	}
	for line := range strings.Lines(out) {
		if n := terminal.Columns(strings.TrimSuffix(line, "\n")); n > 60 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}
