package run

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/worker"
)

// TestPanelShowsPause in place of the rates where nothing is asked, else behind them.
func TestPanelShowsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := worker.Pause{Credential: "c1", Code: 4028, Class: "quota", Since: time.Now(), NextProbe: time.Now().Add(29400 * time.Millisecond)}
		w := &pausewatch.Watch{Wait: pausewatch.Wait{Pauses: []worker.Pause{p, p}}}
		panel := panel.New(&terminal.Streams{})
		panel.Note = w.Note
		shot := progress.Snapshot{Total: 9, Done: 2, Failed: 1, InFlight: 3, Elapsed: time.Second}
		want := "2/9 done  1 failed  paused: 4028 (quota) since " + p.Since.Local().Format(time.TimeOnly) + ", next probe in 29s, and 1 more"
		if got := panel.View(shot).Line(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		time.Sleep(29 * time.Second)
		if got := panel.View(shot).Line(); !strings.Contains(got, ", a probe is sent now") {
			t.Errorf("got %q", got)
		}
		w.Wait = pausewatch.Wait{}
		p.BotID = "b1"
		w.Seen = pausewatch.Snapshot{Held: []worker.Pause{p}}
		if got, want := panel.View(shot).Line(), "2/9 done  1 failed  7 open (3 in flight)  1s  bot b1 paused: 4028 (quota)"; got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}
