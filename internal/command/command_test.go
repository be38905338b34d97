package command_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/command"
)

func TestMake(t *testing.T) {
	secret := []string{"COZE_API_TOKEN", "COZEQ_KEYS_FILE", "coze_oauth", "REDIS_URL", "OTEL_EXPORTER_OTLP_HEADERS"}
	for _, name := range secret {
		t.Setenv(name, "secret")
	}
	t.Setenv("WEATHER_KEY", "own")
	c, err := command.Parse(" cat  a  b ")
	if err != nil || !c.Set() {
		t.Fatal(err)
	}
	cmd := c.Make(t.Context())
	if cmd.Path != c.String() || !slices.Equal(cmd.Args[1:], []string{"a", "b"}) {
		t.Errorf("%q %q", cmd.Path, cmd.Args)
	}
	if !slices.Contains(cmd.Env, "WEATHER_KEY=own") || slices.ContainsFunc(cmd.Env, func(pair string) bool { return strings.HasSuffix(pair, "=secret") }) {
		t.Errorf("%q", cmd.Env)
	}
}

func TestParse(t *testing.T) {
	for _, bad := range []string{"", "  ", "no-such-program x", "/no/such/program"} {
		if _, err := command.Parse(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
