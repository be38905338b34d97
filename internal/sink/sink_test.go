package sink_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/command"
	"github.com/cozeq/cozeq/internal/sink"
)

// TestMain is also the command: its first argument says how it behaves, the second is a file for what it was given.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && strings.HasPrefix(os.Args[1], "take") {
		take(os.Args[1], os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

func take(how, path string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(f, "start", os.Getenv("COZE_API_TOKEN")+os.Getenv("REDIS_URL"))
	if how == "take-nothing" {
		os.Exit(3)
	}
	in := bufio.NewScanner(os.Stdin)
	for n := 1; in.Scan(); n++ {
		fmt.Fprintln(f, in.Text())
		if how == "take-three" && n == 3 { // it dies between the record and the line
			os.Exit(1)
		}
		fmt.Println("ok")
	}
	fmt.Fprintln(f, "end")
}

func start(t *testing.T, how string, acknowledged func(int) error) (*sink.Sink, func() []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COZE_API_TOKEN", "secret")
	t.Setenv("REDIS_URL", "redis://:secret@localhost")
	path := t.TempDir() + "/taken"
	taking, err := command.Parse(self + " " + how + " " + path)
	if err != nil {
		t.Fatal(err)
	}
	s := sink.New(t.Context(), sink.Config{
		Command: taking, Stderr: io.Discard, Acknowledged: acknowledged, Pace: backoff.Policy{First: time.Millisecond, Most: time.Millisecond},
	})
	return s, func() []string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
}

func send(t *testing.T, s *sink.Sink, n int) {
	t.Helper()
	for row := 1; row <= n; row++ {
		if err := s.Send(t.Context(), sink.Record{Row: row, Line: fmt.Appendf(nil, `{"row":%d}`, row)}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAll: more records than the window holds, each once and in order, to one process that ends when there are no more.
func TestAll(t *testing.T) {
	var rows []int
	s, taken := start(t, "take", func(row int) error { rows = append(rows, row); return nil })
	lines := s.Lines(t.Context())
	for row := 1; row <= 3*sink.Window; row++ {
		if _, err := fmt.Fprintf(lines, `{"row":%d}`+"\n", row); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	all := taken()
	if len(rows) != 3*sink.Window || !slices.IsSorted(rows) || len(all) != len(rows)+2 || all[0] != "start " && all[0] != "start" || all[len(all)-1] != "end" {
		t.Errorf("%d acknowledged, taken %d, from %q to %q", len(rows), len(all), all[0], all[len(all)-1])
	}
}

// TestDies: what a process has not acknowledged goes to the next one.
func TestDies(t *testing.T) {
	var rows []int
	s, taken := start(t, "take-three", func(row int) error { rows = append(rows, row); return nil })
	send(t, s, 6)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{"start", "1", "2", "3", "start", "3", "4", "5", "start", "5", "6", "end"}
	got := taken()
	for i := range got {
		got[i] = strings.Trim(got[i], `{}:"row `)
	}
	got[0], got[4] = "start", "start"
	if len(rows) != 6 || len(got) != len(want) || !slices.Equal(got[9:], want[9:]) || !slices.Equal(got[1:4], want[1:4]) {
		t.Errorf("acknowledged %v, taken %v, want %v", rows, got, want)
	}
}

// TestTakesNothing: one that never takes a record is given up, with the number of those that wait.
func TestTakesNothing(t *testing.T) {
	s, taken := start(t, "take-nothing", func(int) error { return nil })
	send(t, s, 1)
	err := s.Close()
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Open != 1 || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
	if n := len(taken()); n != 8 {
		t.Errorf("%d processes", n)
	}
}

// TestFault: who cannot note an acknowledgment ends the sink; one that is aborted ends, too.
func TestFault(t *testing.T) {
	full := errors.New("the disk is full")
	s, _ := start(t, "take", func(int) error { return full })
	send(t, s, 1)
	if err := s.Close(); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	s, _ = start(t, "take", func(int) error { return nil })
	send(t, s, 1)
	s.Abort()
	if err := s.Send(t.Context(), sink.Record{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
