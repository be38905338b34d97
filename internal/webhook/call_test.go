package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/webhook"
)

func TestCall(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.Embedded(t), nil)
	elsewhere := newReceiver(t)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // the answer, or the error
	}{
		"well":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"x": 1}`) }, `{"x": 1}`},
		"created": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }, ""},
		"refused": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such city\xff", 404) },
			"the receiver answered 404 Not Found: no such city"},
		"redirect": {func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, elsewhere.URL, http.StatusFound) },
			"the receiver answered 302 Found: redirects are not followed, set the URL that it leads to"},
		"long": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 256<<10+1)) },
			"it answered with more than 262144 bytes"},
		"long fault": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, strings.Repeat("x", 9000), 500) },
			"the receiver answered 500 Internal Server Error: " + strings.Repeat("x", 800)},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "five!")
		}, "its answer broke off: unexpected EOF"},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"the call of " + strings.TrimPrefix(r.receiver.URL, "https://") + " broke off: EOF"},
	} {
		r.receiver.answers(c.answer)
		got, err := r.client.Call(t.Context(), webhook.Target{URL: r.receiver.URL + "/tool?token=hidden"}, "tool-1", []byte(`{}`))
		if err != nil {
			got = err.Error()
		}
		if got != c.want && !(name == "redirect" && strings.HasPrefix(got, c.want)) || strings.Contains(got, "hidden") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if d := r.receiver.next(t); d.id() != "tool-1" || d.Body != "{}" || len(strings.Split(d.Header.Get("webhook-signature"), " ")) != 2 {
			t.Errorf("%s: %+v", name, d)
		}
		r.receiver.none(t) // it is never posted twice
	}
	elsewhere.none(t)
}

// A call that no connection is there for is tried again, and one that may not be made says nothing of addresses.
func TestCallUnreached(t *testing.T) {
	t.Parallel()
	names := new(nameServer)
	names.set("10.0.0.1")
	r := newRig(t, redistest.Embedded(t), func(c *webhook.Config) { c.Resolver = names.start(t) })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("too slow"))
	unsigned := webhook.NewClient(webhook.ClientConfig{})
	for _, c := range []struct {
		client    *webhook.Client
		ctx       context.Context
		url, want string
	}{
		{r.client, t.Context(), "https://example.com/", "example.com has no public address: the operator can allow its network with --webhook-allow"},
		{r.client, t.Context(), "http://example.com/", "http goes to addresses of --webhook-allow only, and that of example.com is none: use https"},
		{r.client, t.Context(), "https://10.0.0.1/", "webhook.url: 10.0.0.1 is not a public address: the operator can allow its network with --webhook-allow"},
		{r.client, t.Context(), "http://" + closed.Addr().String(), fmt.Sprintf("no connection to %s: connect: connection refused", closed.Addr())},
		{r.client, ended, r.receiver.URL, "too slow"},
		{unsigned, t.Context(), "https://example.com/", "webhook: there are no secrets to sign it with: the operator has to set COZEQ_WEBHOOK_SECRETS_FILE"},
	} {
		if got, err := c.client.Call(c.ctx, webhook.Target{URL: c.url}, "tool-1", nil); err == nil || err.Error() != c.want {
			t.Errorf("%s: %q %v, want %q", c.url, got, err, c.want)
		}
	}
	r.receiver.none(t)
}
