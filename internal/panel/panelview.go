package panel

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/worker"
)

// panelView is the state of a run at one moment, laid out for a terminal of some size or for one line.
type panelView struct {
	progress.Snapshot
	streams *terminal.Streams
	title   string
	note    string // what holds the run up
	stopped bool   // ... altogether
	limits  []worker.Limit
}

// Where the layout changes.
const (
	labelWidth = 9   // of the column with the names of facts
	leastBar   = 10  // cells; a shorter one shows nothing
	leftWidth  = 56  // from this width on, the time left is behind the bar
	twoColumns = 120 // from this width on, facts are side by side
)

// fact is a line of the panel. Its parts are joined by commas, and take several lines if one is too short.
type fact struct {
	label string
	parts []string
	paint terminal.Paint
}

// frame is the panel in lines shorter than width, so that none wraps, and in fewer lines than the terminal has. The most
// important come first.
func (v *panelView) frame(width, height int) []string {
	width = max(width-1, 1)
	var lines []string
	if v.title != "" {
		lines = append(lines, v.streams.Paint(true, terminal.Bold, terminal.Cut(terminal.OneLine(v.title), width)))
	}
	lines = append(lines, v.bar(width))
	for _, f := range v.urgent() {
		lines = append(lines, f.lines(v.streams, width)...)
	}
	lines = append(lines, v.columns(v.facts(width), width)...)
	return lines[:min(len(lines), max(height-1, 1))]
}

// columns puts facts side by side where there is room.
func (v *panelView) columns(facts []fact, width int) (lines []string) {
	half := width
	if width >= twoColumns {
		half = width / 2
	}
	var left []string
	for _, f := range facts {
		own := f.lines(v.streams, half-1)
		switch {
		case half == width:
			lines = append(lines, f.lines(v.streams, width)...)
		case len(own) > 1: // too long for a half
			lines = append(append(lines, left...), f.lines(v.streams, width)...)
			left = nil
		case left == nil:
			left = own
		default:
			pad := strings.Repeat(" ", max(1, half-terminal.Columns(terminal.Plain(left[0]))))
			lines = append(lines, left[0]+pad+own[0])
			left = nil
		}
	}
	return append(lines, left...)
}

func (f fact) lines(s *terminal.Streams, width int) []string {
	indent := labelWidth
	if width < 3*labelWidth {
		indent = 2 // the name stands in a line of its own
	}
	label := terminal.Padded(f.label, indent)
	var lines []string
	if indent < labelWidth {
		lines, label = append(lines, terminal.Cut(f.label, width)), terminal.Padded("", indent)
	}
	text := ""
	end := func() {
		lines = append(lines, s.Paint(true, terminal.Dim, label)+s.Paint(true, f.paint, text))
		label, text = terminal.Padded("", indent), ""
	}
	for _, part := range f.words(width - indent) {
		if text != "" && terminal.Columns(text)+1+terminal.Columns(part) > width-indent {
			end()
		}
		if text != "" {
			text += " "
		}
		text += part
	}
	end()
	return lines
}

// words are the parts with their commas. A part that is too long for a line is broken at its spaces, and cut if that does
// not help.
func (f fact) words(width int) (words []string) {
	for i, part := range f.parts {
		if i < len(f.parts)-1 {
			part += ","
		}
		if terminal.Columns(part) <= width {
			words = append(words, part)
			continue
		}
		for word := range strings.FieldsSeq(part) {
			words = append(words, terminal.Cut(word, width))
		}
	}
	return words
}

// bar is how much is done, and how long the rest takes.
func (v *panelView) bar(width int) string {
	text := fmt.Sprintf("%3d %%  %s/%s", v.percent(), terminal.Count(v.Done), terminal.Count(v.Total))
	if left := v.left(); left != "" && v.leftBeside(width) {
		text += "  " + left
	}
	cells := width - terminal.Columns(text) - len("[] ")
	if cells < leastBar {
		return terminal.Cut(strings.TrimSpace(text), width)
	}
	full := int(int64(cells) * int64(v.Done) / int64(v.Total))
	done, rest := strings.Repeat("=", full), strings.Repeat(" ", cells-full)
	if full > 0 && full < cells {
		done = done[1:] + ">"
	}
	color := terminal.Green
	if v.note != "" {
		color = terminal.Yellow
	}
	return "[" + v.streams.Paint(true, color, done) + rest + "] " + text
}

// percent is 100 only when all is done.
func (v *panelView) percent() int { return int(int64(v.Done) * 100 / int64(v.Total)) }

// leftBeside reports whether there is room for the time left behind a bar.
func (v *panelView) leftBeside(width int) bool { return width >= leftWidth }

func (v *panelView) left() string {
	if v.Left == 0 || v.stopped {
		return ""
	}
	return "~" + terminal.Rounded(max(v.Left.Round(time.Second), time.Second)) + " left" // no finer: it is a guess
}

func (v *panelView) urgent() (facts []fact) {
	if v.note != "" {
		label, text, found := strings.Cut(v.note, ": ")
		if !found || terminal.Columns(label) >= labelWidth {
			label, text = "held up", v.note
		}
		facts = append(facts, fact{label, strings.Split(terminal.OneLine(text), ", "), terminal.Yellow})
	}
	if v.Failed > 0 {
		f := fact{"failed", nil, terminal.Red}
		for _, of := range v.Failures {
			f.parts = append(f.parts, terminal.Count(of.Count)+" "+of.Class)
		}
		switch len(f.parts) {
		case 0:
			f.parts = []string{terminal.Count(v.Failed)}
		case 1:
		default:
			f.parts[0] = terminal.Count(v.Failed) + ": " + f.parts[0]
		}
		facts = append(facts, f)
	}
	return facts
}

func (v *panelView) facts(width int) (facts []fact) {
	add := func(label string, parts ...string) { facts = append(facts, fact{label: label, parts: parts}) }
	if v.Open() > 0 {
		parts := v.open()
		text := terminal.Count(v.Open())
		if len(parts) == 0 {
			parts = []string{text}
		} else {
			parts[0] = text + ": " + parts[0]
		}
		add("open", parts...)
	}
	if v.Waiting.Total() > 0 {
		add("waiting", v.waits()...)
	}
	if v.Mean > 0 || len(v.limits) > 0 {
		add("rate", v.rates()...)
	}
	if v.Tokens > 0 {
		add("tokens", v.tokens()...)
	}
	if v.Cached > 0 {
		add("cached", terminal.Count(v.Cached)+" answered before")
	}
	took := []string{terminal.Rounded(v.Elapsed.Truncate(time.Second))}
	if left := v.left(); left != "" && !v.leftBeside(width) {
		took = append(took, left)
	}
	add("time", took...)
	return facts
}

// open says where the open questions are. Those that are not enqueued yet are in no part. If workers report nothing, there
// are no parts.
func (v *panelView) open() (parts []string) {
	for _, of := range []struct {
		n    int
		text string
	}{{v.InFlight, " in flight"}, {v.Queued, " in the queue"}, {v.Waiting.Total(), " waiting"}} {
		if of.n > 0 {
			parts = append(parts, terminal.Count(of.n)+of.text)
		}
	}
	return parts
}

// waitTexts are the reasons that rows wait.
var waitTexts = map[progress.Wait]string{
	progress.WaitTurn:    "for their turn",
	progress.WaitRate:    "for the rate limit",
	progress.WaitBusy:    "for a busy conversation",
	progress.WaitBackOff: "for a new attempt",
	progress.WaitPause:   "for the end of a pause",
	progress.WaitSame:    "for an answer to the same",
	progress.WaitOther:   "for a turn, a limit, a pause or a new attempt",
}

func (v *panelView) waits() (parts []string) {
	for wait, n := range v.Waiting {
		if text := waitTexts[progress.Wait(wait)]; n > 0 && text != "" {
			parts = append(parts, terminal.Count(n)+" "+text)
		}
	}
	return parts
}

func (v *panelView) rates() (parts []string) {
	if v.Mean > 0 {
		if !v.stopped {
			parts = append(parts, perTime(v.Rate)+" now")
		}
		parts = append(parts, perTime(v.Mean)+" on average")
	}
	if len(v.limits) == 0 {
		return parts
	}
	low, high := math.Inf(1), 0.0
	for _, l := range v.limits {
		low, high = min(low, l.Rate), max(high, l.Rate)
	}
	whole := strings.NewReplacer(".0/", "/")
	text := "limit " + whole.Replace(perTime(high))
	if low < high {
		text = fmt.Sprintf("limits %s to %s", whole.Replace(perTime(low)), whole.Replace(perTime(high)))
	}
	return append(parts, text)
}

func (v *panelView) tokens() []string {
	var parts []string
	if v.TokensIn+v.TokensOut == v.Tokens { // a table has only their sum
		parts = append(parts, terminal.Count(int(v.TokensIn))+" in", terminal.Count(int(v.TokensOut))+" out")
	}
	if v.Counted > 0 {
		parts = append(parts, terminal.Count(int(v.Tokens/int64(v.Counted)))+" a question")
	}
	sum := terminal.Count(int(v.Tokens))
	if len(parts) == 0 {
		return []string{sum}
	}
	parts[0] = sum + ": " + parts[0]
	return parts
}

func (v *panelView) Line() string {
	parts := []string{fmt.Sprintf("%s/%s done", terminal.Count(v.Done), terminal.Count(v.Total))}
	if v.Failed > 0 {
		parts = append(parts, terminal.Count(v.Failed)+" failed")
	}
	if v.Cached > 0 {
		parts = append(parts, terminal.Count(v.Cached)+" cached")
	}
	if v.stopped {
		return strings.Join(append(parts, v.note), "  ")
	}
	if v.Open() > 0 {
		text := terminal.Count(v.Open()) + " open"
		if where := v.open(); len(where) > 0 {
			text += " (" + strings.Join(where, ", ") + ")"
		}
		parts = append(parts, text)
	}
	if v.Rate > 0 {
		parts = append(parts, perTime(v.Rate))
	}
	if v.Tokens > 0 {
		parts = append(parts, terminal.Count(int(v.Tokens))+" tokens")
	}
	parts = append(parts, terminal.Rounded(v.Elapsed))
	if left := v.left(); left != "" {
		parts = append(parts, left)
	}
	if v.note != "" {
		parts = append(parts, v.note)
	}
	return strings.Join(parts, "  ")
}

// perTime is a rate as people say it: 17.5/s, 3.2/min, 40/h.
func perTime(rate float64) string {
	switch {
	case rate >= 1 || rate == 0:
		return fmt.Sprintf("%.1f/s", rate)
	case rate >= 1.0/60:
		return fmt.Sprintf("%.1f/min", rate*60)
	}
	return fmt.Sprintf("%.0f/h", rate*3600)
}
