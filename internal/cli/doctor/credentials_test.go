package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/redischeck"
	"github.com/cozeq/cozeq/internal/settings"
)

// TestDoctorTokenLife goes by the end of a token that somebody has set.
func TestDoctorTokenLife(t *testing.T) {
	t.Parallel()
	d := &doctor{}
	for _, c := range []struct {
		left    time.Duration
		status  redischeck.Status
		pattern string
	}{
		{-time.Minute, fail, `, until 20.*Z: so it has ended \| make a new one .*; and set the new end`},
		{4*24*time.Hour + time.Minute, warn, `: it ends in 4d \| make a new one`},
		{6 * 24 * time.Hour, ok, `^a personal token in COZE_API_TOKEN, for https://api.coze.cn, until 20.*Z \| $`},
	} {
		got := d.credential(t.Context(), "credential", settings.Credential{
			Base: coze.DefaultBaseURL, Token: coze.StaticToken("pat_x"), Life: settings.TokenLife{Set: time.Now().Add(c.left)},
		}, settings.EnvToken)
		like(t, got, "credential", c.status, c.pattern)
	}
	found, text := examined(t, map[string]string{settings.EnvToken: "pat_x", settings.EnvTokenEnds: "soon"}, "--coze-base", "http://127.0.0.1:1")
	if found.OK || !strings.Contains(text, checkName("setting", settings.EnvTokenEnds)) || !strings.Contains(text, "want the moment at which the token ends") {
		t.Errorf("a malformed end: %s", text)
	}
}
