package flags

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// DurationType is the type of duration flags, and the placeholder in their help.
const DurationType = "DURATION"

// Duration defines a flag that takes what time.ParseDuration takes, and days: 7d, 1d12h.
func Duration(f *pflag.FlagSet, p *time.Duration, name string, def time.Duration, usage string) {
	*p = def
	f.Var((*duration)(p), name, usage)
}

type duration time.Duration

func (d *duration) Type() string   { return DurationType }
func (d *duration) String() string { return Format(time.Duration(*d)) }

func (d *duration) Set(text string) error {
	value, err := ParseDuration(text)
	if err == nil {
		*d = duration(value)
	}
	return err
}

const day = 24 * time.Hour

var errDuration = errors.New("not a duration")

// ParseDuration reads days in front of a duration of the standard library's. A sign is for all of it.
func ParseDuration(text string) (time.Duration, error) {
	number, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	days, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(days) || math.Abs(days) > float64(math.MaxInt64/day) {
		return 0, errDuration
	}
	sum := time.Duration(days * float64(day))
	if rest == "" {
		return sum, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || strings.ContainsAny(rest[:1], "+-") {
		return 0, errDuration
	}
	if math.Signbit(days) {
		more = -more
	}
	if total := sum + more; (total > sum) == (more > 0) {
		return total, nil
	}
	return 0, errDuration
}

// Format writes a duration as people do: 15m for 15m0s, 24h, and whole days from two on: 7d.
func Format(d time.Duration) string {
	if d >= 2*day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
