package main

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/cli"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/terminal"
)

// A server that takes the connection and says nothing is an error, not a hang.
func TestSilentRedis(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var errs bytes.Buffer
	code := cli.Execute(t.Context(), []string{"result", "x", "--redis", "redis://:s3cret@" + l.Addr().String()}, terminal.Streams{
		In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &errs,
		Env: func(string) (string, bool) { return "", false },
	})
	want := "cozeq: redis at " + l.Addr().String() + ": no answer within 5s\n"
	if code != exitcode.Failed || !strings.HasPrefix(errs.String(), want) {
		t.Errorf("exit code %d, %q, want %q", code, errs.String(), want)
	}
}
