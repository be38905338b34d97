package panel

import (
	"encoding/json"
	"io"
	"time"

	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/terminal"
)

// progressJSON is the state of a run for programs: a line on stderr. Durations are in seconds, rates in questions a second.
type progressJSON struct {
	Event    string         `json:"event"` // progress
	Time     time.Time      `json:"time"`
	Total    int            `json:"total"`
	Done     int            `json:"done"`
	Failed   int            `json:"failed"`
	Cached   int            `json:"cached,omitempty"`
	Failures map[string]int `json:"failures,omitempty"` // by class
	Open     int            `json:"open"`               // without a record yet
	InFlight int            `json:"in_flight"`          // of these, chats at Coze
	Running  int            `json:"running"`            // the same, under its older name
	Queued   int            `json:"queued"`
	Waiting  map[string]int `json:"waiting,omitempty"` // by what for
	Usage    Usage          `json:"usage"`
	Rate     float64        `json:"rate"`
	Mean     float64        `json:"mean_rate"`
	Limits   []float64      `json:"limits,omitempty"` // calls a second, by credential
	Elapsed  float64        `json:"elapsed_seconds"`
	Left     float64        `json:"left_seconds,omitempty"`
	HeldUp   string         `json:"held_up,omitempty"` // by a pause
}

const eventProgress = "progress"

// waitNames name what rows wait for.
var waitNames = map[progress.Wait]string{
	progress.WaitTurn: "turn", progress.WaitRate: "rate", progress.WaitBusy: "busy", progress.WaitBackOff: "back_off",
	progress.WaitPause: "pause", progress.WaitSame: "same", progress.WaitOther: "other",
}

func progressRecord(v *panelView) progressJSON {
	r := progressJSON{
		Event: eventProgress, Time: time.Now().UTC().Truncate(time.Millisecond),
		Total: v.Total, Done: v.Done, Failed: v.Failed, Cached: v.Cached,
		Open: v.Open(), InFlight: v.InFlight, Running: v.InFlight, Queued: v.Queued,
		Usage: Usage{v.Tokens, v.TokensOut, v.TokensIn},
		Rate:  float64(int(v.Rate*1000)) / 1000, Mean: float64(int(v.Mean*1000)) / 1000,
		Elapsed: terminal.Seconds(v.Elapsed), HeldUp: v.note,
	}
	if !v.stopped {
		r.Left = terminal.Seconds(v.Left)
	}
	for _, f := range v.Failures {
		if r.Failures == nil {
			r.Failures = make(map[string]int)
		}
		r.Failures[f.Class] += f.Count
	}
	for wait, n := range v.Waiting {
		if name := waitNames[progress.Wait(wait)]; n > 0 && name != "" {
			if r.Waiting == nil {
				r.Waiting = make(map[string]int)
			}
			r.Waiting[name] = n
		}
	}
	for _, l := range v.limits {
		r.Limits = append(r.Limits, l.Rate)
	}
	return r
}

func writeJSONLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

type Usage struct {
	TokenCount  int64 `json:"token_count"`
	OutputCount int64 `json:"output_count"`
	InputCount  int64 `json:"input_count"`
}
