package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
)

var (
	console = regexp.MustCompile("(?s)```console\n(.*?)```")
	eventID = regexp.MustCompile(`\d+/\d{19}`)
)

// TestPasted: what a page of docs says to paste works against the mock, and prints what it shows. An interrupt's id stands for the
// one that comes, and ... for any text.
func TestPasted(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err == nil {
		_, err = exec.LookPath("iconv")
	}
	if err != nil {
		t.Skip("not tried:", err)
	}
	for _, page := range []struct {
		name     string
		commands int // at least
		env      []string
	}{
		{name: "workflows.md", commands: 8},
		{name: "files.md", commands: 8, env: []string{"COZE_BOT_ID=bot"}},
	} {
		t.Run(page.name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("../../docs/" + page.name)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			self, err := os.Executable()
			if err == nil {
				err = os.Symlink(self, filepath.Join(dir, "cozeq")) // testscript runs the command of this name
			}
			for name, content := range map[string]string{"cat.png": "\x89PNG\r\n\x1a\n", "notes.pdf": "%PDF-1.7"} {
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			fake := cozetest.New(t)
			shownID, ran := "", 0
			for _, block := range console.FindAllStringSubmatch(string(text), -1) {
				for _, paste := range strings.Split("\n"+block[1], "\n$ ")[1:] {
					lines := strings.Split(strings.TrimSpace(paste), "\n")
					n := 1
					if strings.HasSuffix(lines[0], "<<'END'") {
						n = len(lines)
					}
					command, shown := strings.Join(lines[:n], "\n"), strings.Join(lines[n:], "\n")
					if strings.HasPrefix(command, "cozeq mock") || strings.HasPrefix(command, "export") || strings.HasPrefix(command, "curl") {
						continue
					}
					shell := exec.CommandContext(t.Context(), bash, "-euo", "pipefail", "-c", "cozeq() { ./cozeq \"$@\" || true; }\n"+eventID.ReplaceAllString(command, shownID))
					shell.Dir = dir
					shell.Env = append(os.Environ(), "COZE_API_BASE="+fake.URL, "COZE_API_TOKEN=any", "HOME="+dir, "NO_PROXY=*")
					shell.Env = append(shell.Env, page.env...)
					answer, err := shell.CombinedOutput()
					got := strings.TrimSpace(string(answer))
					if id := eventID.FindString(got); id != "" {
						shownID, got = id, strings.Replace(got, id, eventID.FindString(shown), 1)
					}
					like := strings.ReplaceAll(regexp.QuoteMeta(shown), regexp.QuoteMeta("..."), ".*")
					if err != nil || !regexp.MustCompile("(?s)^"+like+"|"+like+"$").MatchString(got) {
						t.Errorf("%s\n%v: %s\nshown is\n%s", command, err, got, shown)
					}
					ran++
				}
			}
			if ran < page.commands {
				t.Errorf("%d commands were found", ran)
			}
		})
	}
}
