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

// TestWorkflowsPasted: what docs/workflows.md says to paste works against the mock, and prints what it shows. An interrupt's id
// stands for the one that comes.
func TestWorkflowsPasted(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("not tried: bash is not installed")
	}
	page, err := os.ReadFile("../../docs/workflows.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "cozeq")) // testscript runs the command of this name
	}
	if err != nil {
		t.Fatal(err)
	}
	fake := cozetest.New(t)
	shownID, ran := "", 0
	for _, block := range console.FindAllStringSubmatch(string(page), -1) {
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
			answer, err := shell.CombinedOutput()
			got := strings.TrimSpace(string(answer))
			if id := eventID.FindString(got); id != "" {
				shownID, got = id, strings.Replace(got, id, eventID.FindString(shown), 1)
			}
			if err != nil || !strings.HasPrefix(got, shown) && !strings.HasSuffix(got, shown) {
				t.Errorf("%s\n%v: %s\nshown is\n%s", command, err, got, shown)
			}
			ran++
		}
	}
	if ran < 8 {
		t.Errorf("%d commands were found", ran)
	}
}
