package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/terminal"
)

// onTerminal runs the program as on a terminal of so many columns.
func onTerminal(t *testing.T, width int, color bool, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Execute(t.Context(), args, terminal.Streams{
		In: strings.NewReader(""), Out: &out, Err: &errs, OutTTY: true, ErrTTY: true, Width: width, Color: color,
		Env: func(string) (string, bool) { return "", false },
	})
	return out.String(), errs.String(), code
}

func TestTableOnTerminal(t *testing.T) {
	out, _, code := onTerminal(t, 60, false, "errors")
	if code != exitcode.OK {
		t.Fatalf("exit code %d", code)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if want := "CODE       CLASS      SCOPE    MEANING"; lines[0] != want {
		t.Errorf("header %q, want %q", lines[0], want)
	}
	cutOff := 0
	for _, line := range lines {
		if n := terminal.Columns(line); n > 60 {
			t.Errorf("%d columns: %q", n, line)
		}
		if strings.HasSuffix(line, "…") {
			cutOff++
		}
	}
	if cutOff == 0 {
		t.Error("no line is too long for 60 columns: the test shows nothing")
	}
	if strings.ContainsAny(out, "\t\x1b") {
		t.Error("tabs or escape codes without colour")
	}
	if out, _, _ := onTerminal(t, 60, true, "errors"); !strings.Contains(out, "\x1b[1mCODE\x1b[0m") {
		t.Errorf("no colour: %.80q", out)
	}
}

func TestLongTextOnTerminal(t *testing.T) {
	out, _, _ := onTerminal(t, 50, false, "errors", "4200")
	lines := strings.Split(out, "\n")
	if want := "CODE         4200"; lines[0] != want {
		t.Errorf("first line %q, want %q", lines[0], want)
	}
	if !regexp.MustCompile(`(?m)^hint         \S.*\n             \S`).MatchString(out) {
		t.Errorf("the hint does not go on under itself:\n%s", out)
	}
}

func TestDemoOnTerminal(t *testing.T) {
	out, errs, code := onTerminal(t, 100, false, "run", "--demo")
	if code != exitcode.OK {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, want := range []string{
		"faq-1 How long does delivery to Shanghai take?\n  Mock answer to \"How long does delivery",
		"faq-2 可以开增值税专用发票吗？\n  Mock answer to \"可以开",
		"tour-4 (chengdu) Put the plan into a short list, please.\n  Mock answer to",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if !strings.Contains(errs, "/12\n") || !strings.Contains(errs, "open ") {
		t.Errorf("no panel in %q", errs)
	}
	const erase = "\x1b[2K"
	if i := strings.LastIndex(errs, erase); !strings.HasPrefix(errs[i+len(erase):], "12 questions: 12 answered\n") {
		t.Errorf("the panel still stands at the end: %q", errs[i:])
	}
}

// A signal before anything was asked.
func TestInterruptedAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var errs bytes.Buffer
	code := Execute(ctx, []string{"run", "--demo"}, terminal.Streams{
		In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &errs,
		Env: func(string) (string, bool) { return "", false },
	})
	if code != exitcode.Interrupted {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

func TestHostileTextOnTerminal(t *testing.T) {
	const hostile = "a\x1b[2Jb\rc\x07d\u009be\n"
	if got := terminal.Printable(hostile); got != "a[2Jbcde\n" {
		t.Errorf("printable: %q", got)
	}
	if got := terminal.OneLine(hostile); strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x9b }) {
		t.Errorf("oneLine: %q", got)
	}
	var errs bytes.Buffer
	exitcode.Report(&terminal.Streams{Err: &errs}, &exitcode.HintedError{Err: errors.New(hostile), Hint: hostile})
	if got, want := errs.String(), "cozeq: a[2Jbcde\n\nhint: a[2Jbcde\n\n"; got != want {
		t.Errorf("report: %q, want %q", got, want)
	}
	var out bytes.Buffer
	if err := terminal.WriteJSON(&out, hostile); err != nil {
		t.Fatal(err)
	}
	var back string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != hostile {
		t.Errorf("writeJSON: %s is %q, %v", out.Bytes(), back, err)
	}
	if got := strings.TrimSuffix(out.String(), "\n"); got != terminal.Printable(got) {
		t.Errorf("writeJSON: %q", got)
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
