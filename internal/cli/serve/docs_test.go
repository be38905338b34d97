package serve

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	fenced  = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")
	shownID = regexp.MustCompile(`"id": ?"([^"]+)"`)
)

// paste is a command of a page, and what the page shows of its answer.
type paste struct{ command, shown string }

// pastes are the commands of a page, in their order. The server of those that start one is there already.
func pastes(page string) (all []paste) {
	for _, block := range fenced.FindAllStringSubmatch(page, -1) {
		switch block[1] {
		case "sh":
			all = append(all, paste{command: block[2]})
		case "console":
			text := strings.ReplaceAll(block[2], "\\\n", " ")
			for _, one := range strings.Split("\n"+text, "\n$ ")[1:] {
				command, shown, _ := strings.Cut(one, "\n")
				all = append(all, paste{command, shown})
			}
		}
	}
	return slices.DeleteFunc(all, func(p paste) bool { return strings.HasPrefix(p.command, "cozeq serve ") })
}

// What the pages about serve say to paste works, line by line, against one server. An id that a page shows stands for the one
// that the answer has. Lines of languages that no test runs say so.
func TestPasted(t *testing.T) {
	for _, name := range []string{"bash", "curl", "openssl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("not tried: %s is not installed", name)
		}
	}
	url, _, _ := start(t, "--demo", "--model", "support=7342866812345")
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/cat.png", []byte("GIF89a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/questions.csv", []byte("question\nWhy?\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, name := range []string{"http", "openai", "webhooks", "api-keys"} {
		page, err := os.ReadFile("../../../docs/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{"http://127.0.0.1:8787", url}
		for _, p := range pastes(string(page)) {
			bash := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", `curl() { command curl -sS --fail-with-body --noproxy '*' "$@"; }; `+strings.NewReplacer(ids...).Replace(p.command))
			bash.Dir = dir
			answer, err := bash.CombinedOutput()
			if err != nil {
				t.Errorf("%s.md: %s: %v: %s", name, p.command, err, answer)
			}
			shown, got := shownID.FindStringSubmatch(p.shown), shownID.FindSubmatch(answer)
			if shown != nil && got != nil {
				ids = append(ids, shown[1], string(got[1]))
			} else if shown != nil {
				t.Errorf("%s.md: %s: %s, shown is %s", name, p.command, answer, p.shown)
			}
			ran++
		}
		for _, block := range fenced.FindAllStringSubmatch(string(page), -1) {
			if slices.Contains([]string{"python", "java", "go", "js", "typescript"}, block[1]) && !strings.Contains(string(page), "typed from the") && !strings.Contains(string(page), "run by a test") {
				t.Errorf("%s.md does not say whether its %s is run by a test or typed from the specification", name, block[1])
			}
		}
	}
	if ran < 10 {
		t.Errorf("%d commands were found", ran)
	}
}
