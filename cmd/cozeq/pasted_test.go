package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
)

var (
	console = regexp.MustCompile("(?s)```console\n(.*?)```")
	eventID = regexp.MustCompile(`\d+/\d{19}`)
)

// page is one of docs whose commands are run.
type page struct {
	name   string
	served bool // also its calls of cozeq serve, which it starts
	env    []string
}

// TestPasted: what a page of docs says to paste works against the mock, and prints what it shows. An interrupt's id stands for the
// one that comes, and ... for any text.
func TestPasted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bash", "curl", "iconv", "openssl", "python3"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("not tried: %s is not installed", name)
		}
	}
	for _, p := range []page{
		{name: "workflows.md"},
		{name: "files.md", env: []string{"COZE_BOT_ID=bot"}},
		{name: "tools.md", served: true},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.run(t)
		})
	}
}

func (p page) run(t *testing.T) {
	text, err := os.ReadFile("../../docs/" + p.name)
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
	fake, served := cozetest.New(t), freeAddress(t)
	_, toolPort, _ := net.SplitHostPort(freeAddress(t))
	here := strings.NewReplacer("127.0.0.1:8787", served, "8181", toolPort,
		"127.0.0.1:8080", strings.TrimPrefix(fake.URL, "http://"), "redis://localhost:6379/0", redistest.Start(t).URL())
	exported, shownID, ran := "", "", 0
	shell := func(command string) *exec.Cmd {
		sh := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c",
			"cozeq() { ./cozeq \"$@\" || true; }; curl() { command curl -sS --fail-with-body --noproxy '*' \"$@\"; }\n"+here.Replace(exported+eventID.ReplaceAllString(command, shownID)))
		sh.Dir, sh.Env = dir, append(os.Environ(), "HOME="+dir, "NO_PROXY=*", "COZEQ_SERVE="+served, "COZE_API_BASE="+fake.URL, "COZE_API_TOKEN=any")
		sh.Env = append(sh.Env, p.env...)
		return sh
	}
	for _, paste := range pastes(string(text)) {
		command, shown := paste[0], paste[1]
		background, runs := strings.CutSuffix(command, " &")
		switch {
		case strings.HasPrefix(command, "cozeq mock"), !p.served && strings.HasPrefix(command, "curl"):
			continue
		case strings.HasPrefix(command, "export"):
			exported += command + "\n"
			continue
		case runs:
			sh := shell("exec " + strings.Replace(background, "cozeq", "./cozeq", 1))
			said := new(awaittest.Log)
			sh.Stderr, sh.WaitDelay = said, time.Second
			if err := sh.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { (&processes{}).kill(sh) })
			if strings.HasPrefix(background, "cozeq serve") { // who reads the greeting may ask at once
				awaittest.Until(t, "the greeting of cozeq serve", func() bool { return strings.Contains(said.String(), "cozeq: serving ") })
			} else {
				awaitListening(t, here.Replace("127.0.0.1:8181"))
			}
			ran++
			continue
		}
		sh := shell(command)
		sh.WaitDelay = time.Second // for what it leaves running
		answer, err := sh.CombinedOutput()
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
	if ran < 8 {
		t.Errorf("%d commands were found", ran)
	}
}

// pastes are the commands of a page, and what it shows of their output. A command goes on to the end of its file, or of its quotes.
func pastes(page string) (all [][2]string) {
	for _, block := range console.FindAllStringSubmatch(page, -1) {
		for _, paste := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			lines := strings.Split(strings.TrimSpace(paste), "\n")
			n := 1
			for strings.Contains(lines[0], "<<'END'") && lines[n-1] != "END" || strings.Count(strings.Join(lines[:n], ""), "'")%2 != 0 && !strings.Contains(lines[0], "<<'END'") {
				n++
			}
			all = append(all, [2]string{strings.Join(lines[:n], "\n"), strings.Join(lines[n:], "\n")})
		}
	}
	return all
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func awaitListening(t *testing.T, address string) {
	t.Helper()
	awaittest.NoError(t, "the program listens", func() error {
		c, err := net.Dial("tcp", address)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}
