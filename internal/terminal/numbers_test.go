package terminal

import (
	"testing"
	"time"
)

func TestRounded(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                            "0s",
		344 * time.Millisecond:       "340ms",
		999 * time.Millisecond:       "1s",
		4249 * time.Millisecond:      "4.2s",
		200 * time.Second:            "3m20s",
		600 * time.Second:            "10m",
		65*time.Minute + time.Second: "1h5m",
		72 * time.Hour:               "3d",
	} {
		if got := Rounded(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
