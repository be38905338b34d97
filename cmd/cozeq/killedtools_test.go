package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
)

// A run without a Redis is killed while a tool runs, twice, and while the outputs of another are not taken. The first tool runs once
// more and no more, which the bot is told; the second never again; both chats go on.
func TestKilledRunTools(t *testing.T) {
	t.Parallel()
	p := &processes{dir: t.TempDir(), fake: cozetest.New(t)}
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("q.txt", "one [[mock:action=stands]]\nother [[mock:action=quick]][[mock:on=submit gateway=502 times=3]]\n", 0o600)
	write("stands.sh", "#!/bin/sh\necho $$ >> stood\nexec sleep 1000\n", 0o700)
	write("quick.sh", "#!/bin/sh\necho ran >> ran\necho '{\"quick\":1}'\n", 0o700)
	lines := func(name string) []string {
		text, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Fields(string(text))
	}
	run := []string{"run", "q.txt", "-o", "out.jsonl", "--tool", "stands=./stands.sh", "--tool", "quick=./quick.sh"}
	t.Cleanup(func() { killAll(lines("stood")) })
	for n := 1; n <= 2; n++ {
		killed := p.start(t, run...)
		awaittest.NoError(t, "one tool stands and the other is submitted", func() error {
			if stand, submitted := len(lines("stood")), p.fake.Calls("/v3/chat/submit_tool_outputs"); stand < n || submitted < 1 {
				return fmt.Errorf("run %d: %d tools stand, %d submissions", n, stand, submitted)
			}
			return nil
		})
		p.kill(killed)
	}
	if said, err := p.command(t, run...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	out := strings.Join(lines("out.jsonl"), " ")
	for _, want := range []string{`stands gave {\"error\":\"the tool was interrupted each time it ran\"}.`, `quick gave {\"quick\":1}.`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not in %s", want, out)
		}
	}
	if stood, ran := len(lines("stood")), len(lines("ran")); stood != 2 || ran != 1 || p.fake.Accepted() != 2 {
		t.Errorf("the tools ran %d and %d times, for %d chats", stood, ran, p.fake.Accepted())
	}
}

// killAll ends the commands that a killed run has left behind.
func killAll(pids []string) {
	for _, text := range pids {
		if pid, err := strconv.Atoi(text); err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
