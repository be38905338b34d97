package settings

import (
	"math"
	"testing"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]float64{
		"10/s": 10, "300/m": 5, "5000/h": 5000.0 / 3600, "0.5/s": 0.5, "1/h": 1.0 / 3600,
		"": 0, "10": 0, "/s": 0, "0/s": 0, "-1/s": 0, "1e3/s": 0, "inf/s": 0, "NaN/s": 0, "10/d": 0, "10/ s": 0, "10/sec": 0,
		"0x10/s": 0, "1_000/s": 0, ".5/s": 0, "99999999999999999999/s": 0,
	} {
		if got, ok := parseRate(text); got != want || ok != (want > 0) {
			t.Errorf("%q: %v %v, want %v", text, got, ok, want)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, seed := range []string{"10/s", "300/m", "0.5/h", "1e9/s", "/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, ok := parseRate(text)
		if ok != (rate > 0) || math.IsInf(rate, 0) || math.IsNaN(rate) {
			t.Errorf("%q: %v %v", text, rate, ok)
		}
	})
}
