package answercache_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/answercache"
)

func open(t *testing.T, dir string) *answercache.Cache {
	t.Helper()
	c, err := answercache.Open(dir, "here", 0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := open(t, dir)
	if learnt := c.Limits(); len(learnt) > 0 {
		t.Errorf("a new cache knows the rates %v", learnt)
	}
	for _, learnt := range []map[string]float64{{"a": 20}, {"b": 5}, {"a": 21}, {"a": 150}, {"a": 160}} {
		if err := c.NoteLimits(learnt); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := open(t, dir).Limits(), map[string]float64{"a": 150, "b": 5}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	info, err := os.Stat(filepath.Join(dir, "limits"))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode != 0o600 {
		t.Errorf("the mode is %v, want 0600", mode)
	}
	if size := c.Size(t.Context()); size.Answers != 0 {
		t.Errorf("the rates count as %d answers", size.Answers)
	}
}

// TestLimitsAreDoubted has rates that are damaged or old count as missing, and be replaced.
func TestLimitsAreDoubted(t *testing.T) {
	t.Parallel()
	at := func(age time.Duration) string { return time.Now().Add(-age).UTC().Format(time.RFC3339) }
	file := func(version int, rate, at string) string {
		return fmt.Sprintf(`{"cozeq":"limits","version":%d,"limits":{"a":{"calls_per_second":%s,"at":%q}}}`, version, rate, at)
	}
	for name, c := range map[string]struct {
		content string
		want    float64
	}{
		"a day old":       {file(1, "80", at(24*time.Hour)), 80},
		"a week old":      {file(1, "80", at(7*24*time.Hour)), 0},
		"of the future":   {file(1, "80", at(-7*24*time.Hour)), 0},
		"another version": {file(2, "80", at(0)), 0},
		"negative":        {file(1, "-1", at(0)), 0},
		"absurd":          {file(1, "1e300", at(0)), 0},
		"no number":       {file(1, `"80"`, at(0)), 0},
		"no time":         {file(1, "80", "yesterday"), 0},
		"torn":            {file(1, "80", at(0))[:40], 0},
		"empty":           {"", 0},
		"something else":  {`{"cozeq":"answer","version":1,"limits":{"a":{"calls_per_second":80}}}`, 0},
		"null":            {"null", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cache := open(t, dir)
			if err := os.WriteFile(filepath.Join(dir, "limits"), []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := cache.Limits()["a"]; got != c.want {
				t.Errorf("the rate is %v, want %v", got, c.want)
			}
			if err := cache.NoteLimits(map[string]float64{"a": 9}); err != nil {
				t.Fatal(err)
			}
			if got := cache.Limits()["a"]; got != 9 {
				t.Errorf("then the rate is %v, want 9", got)
			}
		})
	}
}
