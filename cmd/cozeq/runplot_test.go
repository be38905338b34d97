package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
)

// TestRunPlot draws the rate and the CPU of a run alone, from its first second on, into the file COZEQ_RUN_PLOT. Coze
// answers at once and refuses nothing: the rate doubles each second from 20 a second until the machine is the limit.
func TestRunPlot(t *testing.T) {
	path := os.Getenv("COZEQ_RUN_PLOT")
	if path == "" {
		t.Skip("make bench-run sets COZEQ_RUN_PLOT")
	}
	p := &processes{dir: t.TempDir(), fake: cozetest.New(t, cozetest.With(cozetest.Config{KeepLog: -1, Forget: time.Minute, Deltas: 20}))}
	p.questions(t, 30_000)
	run := p.command(t, "run", "q.jsonl", "-o", "out.jsonl")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	samples := []runSample{{}}
	for began, tick := time.Now(), time.NewTicker(time.Second); ; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			plotRun(t, path, samples)
			return
		case <-tick.C:
			if cpu, err := cpuNow(run.Process.Pid); err == nil { // an error: it has just ended
				samples = append(samples, runSample{time.Since(began), p.fake.Accepted(), cpu})
			}
		}
	}
}

// runSample is how far a run had come.
type runSample struct {
	at   time.Duration
	rows int
	cpu  time.Duration
}

// cpuNow is the CPU time of a process so far, of Linux alone.
func cpuNow(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the program's name may have spaces
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	return time.Duration(user+system) * tick, err
}

// plotRun draws rows a second as bars, and the cores in use as a line with its scale on the right.
func plotRun(t *testing.T, path string, samples []runSample) {
	const left, right, top, bottom, width, height = 60, 60, 50, 50, 900, 360
	last := samples[len(samples)-1].at.Seconds()
	most, cores := 0.0, 2.0
	for i := 1; i < len(samples); i++ {
		most, cores = max(most, samples[i].rate(samples[i-1])), max(cores, samples[i].cores(samples[i-1]))
	}
	step := 500.0
	highest := step * float64(int(most/step)+1)
	x := func(at time.Duration) float64 { return left + (width-left-right)*at.Seconds()/last }
	y := func(share float64) float64 { return height - bottom - (height-top-bottom)*share }

	var svg strings.Builder
	draw := func(format string, args ...any) { fmt.Fprintf(&svg, format+"\n", args...) }
	text := func(x, y float64, anchor, s string) {
		draw(`<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, s)
	}
	draw(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" fill="#333">`, width, height)
	draw(`<title>Rows a second and cores in use of a run alone</title>`)
	draw(`<rect width="100%%" height="100%%" fill="#fff"/>`)
	for r := 0.0; r <= highest; r += step {
		draw(`<path d="M%d %.1fH%d" stroke="#ddd"/>`, left, y(r/highest), width-right)
		text(left-8, y(r/highest)+4, "end", fmt.Sprint(r))
	}
	for c := 0.0; c <= cores; c += 0.5 {
		text(width-right+8, y(c/cores)+4, "start", fmt.Sprint(c))
	}
	for at := 0; at <= int(last); at += 5 {
		text(x(time.Duration(at)*time.Second), height-bottom+18, "middle", fmt.Sprint(at))
	}
	text(width/2, height-12, "middle", "seconds since the start")
	line := ""
	for i := 1; i < len(samples); i++ {
		s, before := samples[i], samples[i-1]
		share := s.rate(before) / highest
		draw(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#cfe3d4"/>`, x(before.at), y(share), x(s.at)-x(before.at)-1, y(0)-y(share))
		line += fmt.Sprintf(" %.1f,%.1f", x((s.at+before.at)/2), y(s.cores(before)/cores))
	}
	draw(`<polyline points="%s" fill="none" stroke="#1f5fbf" stroke-width="2"/>`, strings.TrimSpace(line))
	draw(`<rect x="300" y="12" width="24" height="12" fill="#cfe3d4"/>`)
	text(332, 22, "start", "rows a second")
	draw(`<path d="M470 18h24" stroke="#1f5fbf" stroke-width="2"/>`)
	text(502, 22, "start", fmt.Sprintf("cores in use, of %d", runtime.NumCPU()))
	draw(`</svg>`)
	if err := os.WriteFile(path, []byte(svg.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s runSample) rate(before runSample) float64 {
	return float64(s.rows-before.rows) / (s.at - before.at).Seconds()
}

func (s runSample) cores(before runSample) float64 {
	return (s.cpu - before.cpu).Seconds() / (s.at - before.at).Seconds()
}
