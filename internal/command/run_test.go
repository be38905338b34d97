package command_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/command"
)

// script makes a shell script, and a command of it.
func script(t *testing.T, text string) command.Command {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tool.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := command.Parse(path + " a  b")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRun(t *testing.T) {
	t.Setenv("COZE_API_TOKEN", "pat_secret")
	t.Setenv("REDIS_URL", "redis://:password@h")
	t.Setenv("WEATHER_KEY", "k")
	for text, want := range map[string]string{
		`cat; echo " $# $2 $WEATHER_KEY"`:                   `{"x":1} 2 b k`,
		`env | grep -c 'secret\|password'`:                  "exit status 1",
		`echo looking >&2; echo "no such city" >&2; exit 3`: "exit status 3: looking\nno such city",
		`exit 4`:                             "exit status 4",
		`echo well`:                          "well", // reads nothing
		`head -c 262145 /dev/zero`:           "it wrote more than 262144 bytes",
		`yes no | head -c 99999 >&2; exit 1`: "exit status 1: o\nno",
	} {
		out, err := script(t, text).Run(t.Context(), []byte(`{"x":1}`))
		if err != nil {
			out = err.Error()
		}
		if out = strings.TrimSpace(out); !strings.HasPrefix(out, want) || len(out) > 1000 {
			t.Errorf("%s: %.200q, want %q", text, out, want)
		}
	}
}

// TestKilled ends a command with its children: they tell by a pipe that they are gone.
func TestKilled(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "alive")
	if err := os.WriteFile(pipe, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tool := script(t, `(sleep 100; echo >>`+pipe+`) & echo $! >`+pipe+`; wait`)
	slow := errors.New("too slow")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for {
			if b, _ := os.ReadFile(pipe); len(b) > 0 {
				cancel(slow)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := tool.Run(ctx, nil); !errors.Is(err, slow) {
		t.Errorf("%v, want the cause", err)
	}
}
