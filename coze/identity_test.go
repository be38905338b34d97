package coze_test

import (
	"context"
	"errors"
	"regexp"
	"testing"

	"github.com/cozeq/cozeq/coze"
)

// app is a source with a name.
type app struct{ name, token string }

func (a app) Token(context.Context) (string, error) { return a.token, nil }
func (a app) Identity() string                      { return a.name }

func TestIdentity(t *testing.T) {
	of := func(base string, auth coze.TokenSource) string {
		t.Helper()
		id, err := (&coze.Client{BaseURL: base, Auth: auth}).Identity(t.Context())
		if err != nil || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(id) {
			t.Fatalf("%q, %v", id, err)
		}
		return id
	}
	one := of("", coze.StaticToken("pat_1"))
	for name, same := range map[string]string{
		"the default base": of(coze.DefaultBaseURL, coze.StaticToken("pat_1")),
		"a slash":          of(coze.DefaultBaseURL+"/", coze.StaticToken("pat_1\n")),
		"capitals":         of("HTTPS://API.coze.cn", coze.StaticToken("pat_1")),
		"a nameless app":   of("", app{"", "pat_1"}),
	} {
		if same != one {
			t.Errorf("%s: %s, want %s", name, same, one)
		}
	}
	named := of("", app{"a", "t1"})
	if again := of("", app{"a", "t2"}); again != named {
		t.Errorf("another token of one app: %s, want %s", again, named)
	}
	seen := map[string]string{}
	for name, id := range map[string]string{
		"one": one, "other base": of(coze.BaseURLCom, coze.StaticToken("pat_1")), "other token": of("", coze.StaticToken("pat_2")),
		"app": named, "other app": of("", app{"b", "t1"}), "app at other base": of(coze.BaseURLCom, app{"a", "t1"}),
		"a token that is an app's name": of("", coze.StaticToken("a")), "other path": of(coze.DefaultBaseURL+"/proxy", coze.StaticToken("pat_1")),
	} {
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s have the same identity", name, other)
		}
		seen[id] = name
	}
}

func TestIdentityFails(t *testing.T) {
	broken := errors.New("vault is sealed")
	_, err := (&coze.Client{Auth: source{broken}}).Identity(t.Context())
	if e := typed(t, err); e.Class != coze.ClassAuth || !errors.Is(err, broken) {
		t.Errorf("no token: %v", err)
	}
	_, err = (&coze.Client{BaseURL: "ftp://x", Auth: app{"a", "t"}}).Identity(t.Context())
	if e := typed(t, err); e.Class != coze.ClassInvalid || e.Hint() == "" {
		t.Errorf("no base: %v", err)
	}
}
