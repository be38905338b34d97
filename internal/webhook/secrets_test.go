package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/tasks"
)

func TestBadSecrets(t *testing.T) {
	hidden := strings.TrimPrefix(oldSecret, "whsec_")
	for text, want := range map[string]string{
		"":                           "no secret in it",
		"# nothing\n":                "no secret in it",
		"a " + oldSecret + " # mine": "secrets:1: 4 words",
		oldSecret:                    "secrets:1: 1 words",
		oldSecret + " a":             "secrets:1: the secret comes before its name",
		"a " + hidden:                "secrets:1: the secret of a does not begin with whsec_",
		"a whsec_abc" + hidden:       "secrets:1: the secret of a is not base64",
		"a whsec_YWJj":               "secrets:1: the secret of a has 3 bytes",
		"\n\na " + oldSecret + "\na " + oldSecret:       "secrets:4: a has the same secret twice",
		"a/b/c " + oldSecret:                            "secrets:1: the name is not",
		"a whsk_" + hidden:                              "secrets:1: a has a key of ed25519",
		"a " + oldSecret + "\nb x\nc y\nd " + oldSecret: "secrets:3: the secret of c",
	} {
		_, _, err := webhook.ParseSecrets([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), hidden[:8]) {
			t.Errorf("a secret in %v", err)
		}
	}
	for _, path := range []string{oldSecret, "/tmp/" + oldSecret} {
		if _, err := webhook.LoadSecrets(path, nil); err == nil || strings.Contains(err.Error(), hidden) {
			t.Errorf("a secret as a file's name: %v", err)
		}
	}
	open := secretsFile(t, "a "+oldSecret)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := webhook.LoadSecrets(open, nil); err == nil || !strings.Contains(err.Error(), "chmod o=") {
		t.Errorf("a file for everybody: %v", err)
	}
}

func FuzzParseSecrets(f *testing.F) {
	f.Add([]byte("# comment\na " + oldSecret + "\nshop/orders\t" + newSecret + "\r\n"))
	f.Add([]byte("a whsec_!\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, printed, err := webhook.ParseSecrets(text)
		if err == nil && keys == 0 {
			t.Error("no keys and no error")
		}
		if err != nil {
			printed = err.Error()
		}
		// No line's second word is ever shown. Short ones may be part of what an error says anyway.
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) == 2 && len(fields[1]) > 40 && fields[0] != fields[1] && strings.Contains(printed, fields[1]) {
				t.Errorf("%q shows %q", printed, fields[1])
			}
		}
	})
}

// A secret that is added signs, without a restart; a file with a fault changes nothing.
func TestSecretsAreReadAgain(t *testing.T) {
	t.Parallel()
	path := secretsFile(t, "default "+newSecret+"\n")
	r := newRig(t, redistest.Embedded(t), func(c *webhook.Config) {
		var err error
		if c.Secrets, err = webhook.LoadSecrets(path, c.Logger); err != nil {
			t.Fatal(err)
		}
	}).start()
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	signatures := func() int {
		n++
		id := fmt.Sprint("a", n)
		r.schedule(id)
		r.Answer(id)
		return len(strings.Fields(r.receiver.next(t).Header.Get("webhook-signature")))
	}
	if got := signatures(); got != 1 {
		t.Fatalf("%d signatures", got)
	}
	write("default " + newSecret + "\ndefault " + oldSecret + "\n")
	awaittest.Until(t, "both secrets sign", func() bool { return signatures() == 2 })
	write("default whsec_broken\n")
	awaittest.Until(t, "the broken file is logged, and both still sign", func() bool { return signatures() == 2 && r.log.Count("not read again") > 0 })
	if strings.Contains(r.log.String(), "whsec_") && strings.Contains(r.log.String(), "broken") {
		t.Error("the secret is in the log")
	}
}

func TestSecretOfTenant(t *testing.T) {
	r := newRig(t, redistest.Embedded(t), func(c *webhook.Config) {
		var err error
		c.Secrets, err = webhook.LoadSecrets(secretsFile(t, strings.Join([]string{
			"shop " + oldSecret, "shop/orders " + newSecret, "crm/only " + newSecret, "bank " + newSecret}, "\n")), nil)
		if err != nil {
			t.Fatal(err)
		}
	})
	for _, c := range []struct{ tenant, secret, want string }{
		{"shop", "", ""},
		{"shop", "shop", ""},
		{"shop", "orders", ""},
		{"shop", "shop/orders", ""},
		{"crm", "", ""},
		{"", "bank", ""},
		{"shop", "bank", "no secret of this name for you, only shop, shop/orders"},
		{"shop", "crm/only", "no secret of this name for you"},
		{"shop", "missing", "no secret of this name for you"},
		{"new", "", "there is none of the name new"},
		{"", "", "none of the secrets is named default"},
	} {
		err := r.Check(webhook.Target{URL: "https://example.com/", Tenant: c.tenant, Secret: c.secret})
		bad, _ := errors.AsType[*tasks.InvalidError](err)
		if c.want == "" && err != nil || c.want != "" && (bad == nil || bad.Field != "webhook.secret" || !strings.Contains(bad.Reason, c.want)) {
			t.Errorf("%q asks for %q: %v, want %q", c.tenant, c.secret, err, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Now()
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "7": 7 * time.Second, "99999999999": 6 * time.Hour,
		now.Add(-time.Hour).UTC().Format(http.TimeFormat):     0,
		now.Add(48 * time.Hour).UTC().Format(http.TimeFormat): 6 * time.Hour,
	} {
		if got := webhook.RetryAfter(value, now); got != want {
			t.Errorf("Retry-After: %s is %v, want %v", value, got, want)
		}
	}
	var sum time.Duration
	for n := 1; n < webhook.Tries; n++ {
		sum += webhook.WaitAfter(n, 0)
	}
	if sum < 20*time.Hour || sum > 27*time.Hour {
		t.Errorf("all tries take %v, want about a day", sum)
	}
}
