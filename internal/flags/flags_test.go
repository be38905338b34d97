package flags

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"15m": 15 * time.Minute, "1h30m": 90 * time.Minute, "0": 0, "-1h": -time.Hour, "1.5s": 1500 * time.Millisecond,
		"7d": 7 * day, "1d": day, "0.5d": 12 * time.Hour, "1d12h": 36 * time.Hour, "1d0s": day, "-1d6h": -30 * time.Hour,
	} {
		var got time.Duration
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		Duration(f, &got, "d", time.Hour, "")
		if got != time.Hour {
			t.Fatalf("default %v", got)
		}
		if err := f.Parse([]string{"--d=" + text}); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
		if again, err := ParseDuration(Format(want)); err != nil || again != want {
			t.Errorf("%v is written as %s and read as %v, %v", want, Format(want), again, err)
		}
	}
	for _, text := range []string{"", "d", "7", "soon", "7d7", "7dd", "1d-1h", "1h7d", "NaNd", "1e9d", "106751d24h", "7days"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestFormat(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "15m": 15 * time.Minute, "24h": day, "7d": 7 * day, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute,
		"10s": 10 * time.Second, "1m10s": 70 * time.Second, "100ms": 100 * time.Millisecond, "20m": 20 * time.Minute,
	} {
		if got := Format(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestPlaceholder(t *testing.T) {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.StringSlice("status", nil, "with this status")
	OneOf(f, "status", "failed", "lost")
	f.String("bot", "", "`ID` of the bot")
	f.Bool("json", false, "print JSON")
	Duration(f, new(time.Duration), "keep", 7*day, "keep it")
	for name, want := range map[string][3]string{
		"status": {"{failed|lost}", "with this status", ""}, "bot": {"ID", "ID of the bot", ""},
		"json": {"", "print JSON", ""}, "keep": {"DURATION", "keep it", "7d"},
	} {
		placeholder, usage := Placeholder(f.Lookup(name))
		if got := [3]string{placeholder, usage, Default(f.Lookup(name))}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
