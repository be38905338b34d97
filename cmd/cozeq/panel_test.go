package main

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/internal/batch"
)

// In a pipe: a plain line every ten seconds, and the lines of others as they are.
func TestPanelInPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		p := newPanel(&streams{Err: &errs, Width: 80})
		began := time.Now()
		stop := p.follow(func() batch.Snapshot {
			return batch.Snapshot{Total: 12_000, Done: 1_500, Failed: 3, InFlight: 64, Rate: 17.5, Tokens: 45_678, Elapsed: time.Since(began)}
		})
		time.Sleep(12 * time.Second) // the bubble's time
		fmt.Fprintln(p, "a line of the log")
		time.Sleep(10 * time.Second)
		stop()
		want := "1,500/12,000 done  3 failed  64 in flight  17.5/s  45,678 tokens  10s  ~10m0s left\n" +
			"a line of the log\n" +
			"1,500/12,000 done  3 failed  64 in flight  17.5/s  45,678 tokens  20s  ~10m0s left\n"
		if errs.String() != want {
			t.Errorf("got\n%s\nwant\n%s", errs.String(), want)
		}
	})
}

// On a terminal: one line, below whatever else is printed, and gone at the end.
func TestPanelOnTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		p := newPanel(&streams{Err: &errs, ErrTTY: true, Width: 21})
		stop := p.follow(func() batch.Snapshot { return batch.Snapshot{Total: 12, Done: 5, InFlight: 7} })
		time.Sleep(terminalEvery)
		synctest.Wait()
		fmt.Fprintln(p, "a line")
		stop()
		const line, erase = "5/12 done  7 in fli…", "\r\x1b[K"
		if want := line + erase + "a line\n" + line + erase; errs.String() != want {
			t.Errorf("got %q, want %q", errs.String(), want)
		}
	})
}

func TestRounded(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                            "0s",
		344 * time.Millisecond:       "340ms",
		999 * time.Millisecond:       "1s",
		4249 * time.Millisecond:      "4.2s",
		200 * time.Second:            "3m20s",
		65*time.Minute + time.Second: "1h5m",
	} {
		if got := rounded(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
