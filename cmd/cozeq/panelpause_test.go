package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/worker"
)

// TestPanelShowsPause in place of the rates where nothing is asked, else behind them.
func TestPanelShowsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := worker.Pause{Credential: "c1", Code: 4028, Class: "quota", Since: time.Now(), NextProbe: time.Now().Add(29400 * time.Millisecond)}
		w := &pauseWatch{wait: wait{pauses: []worker.Pause{p, p}}}
		panel := newPanel(&streams{})
		panel.note = w.note
		shot := progress.Snapshot{Total: 9, Done: 2, Failed: 1, InFlight: 3, Elapsed: time.Second}
		want := "2/9 done  1 failed  paused: 4028 (quota) since " + p.Since.Local().Format(time.TimeOnly) + ", next probe in 29s, and 1 more"
		if got := panel.view(shot).line(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		time.Sleep(29 * time.Second)
		if got := panel.view(shot).line(); !strings.Contains(got, ", a probe goes out now") {
			t.Errorf("got %q", got)
		}
		w.wait = wait{}
		p.BotID = "b1"
		w.seen = sight{held: []worker.Pause{p}}
		if got, want := panel.view(shot).line(), "2/9 done  1 failed  7 open (3 in flight)  1s  bot b1 paused: 4028 (quota)"; got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}
