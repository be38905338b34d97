package progress

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	start := time.Now()
	m := Meter{Start: start}
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	for s := range 30 { // two a second for half a minute, then nothing
		m.Count(at(float64(s)+0.5), 2)
	}
	for _, tt := range []struct {
		at         float64
		rate, mean float64
		left       time.Duration // for 60 more
	}{
		{30, 1.8, 2, 30 * time.Second},
		{35, 0.8, 60. / 35, 35 * time.Second},
		{45, 0, 60. / 45, 45 * time.Second},
		{61, 0, 60. / 61, 64286 * time.Millisecond},
		{95, 0, 60. / 95, 0},
	} {
		now := at(tt.at)
		if rate, mean, left := m.Rate(now), m.Mean(now), m.Left(now, 60); rate != tt.rate || mean != tt.mean || left.Round(time.Millisecond) != tt.left {
			t.Errorf("at %v: %v now, %v on average, %v left; want %v", tt.at, rate, mean, left, tt)
		}
	}
	early := Meter{Start: start}
	early.Add(start)
	if left := early.Left(at(2.9), 5); left != 0 {
		t.Errorf("too soon to tell: %v", left)
	}
}

func TestSpread(t *testing.T) {
	var s spread
	if s.Mean() != 0 || s.Deviation() != 0 {
		t.Error("of nothing there is something")
	}
	for _, x := range []float64{2, 4, 4, 4, 5, 5, 7, 9} {
		s.add(x)
	}
	if s.Mean() != 5 || s.Deviation() < 2.138 || s.Deviation() > 2.139 {
		t.Errorf("mean %v, deviation %v", s.Mean(), s.Deviation())
	}
}
