package childenv_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/childenv"
)

func TestOf(t *testing.T) {
	secret := []string{"COZE_API_TOKEN", "COZEQ_KEYS_FILE", "coze_oauth", "REDIS_URL", "OTEL_EXPORTER_OTLP_HEADERS"}
	for _, name := range secret {
		t.Setenv(name, "secret")
	}
	t.Setenv("WEATHER_KEY", "own")
	got := childenv.Of()
	if !slices.Contains(got, "WEATHER_KEY=own") || slices.ContainsFunc(got, func(pair string) bool { return strings.HasSuffix(pair, "=secret") }) {
		t.Errorf("%q", got)
	}
}
