package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/workertest"
)

// The end of a task is posted to its webhook, signed.
func TestWebhook(t *testing.T) {
	secrets := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(secrets, []byte("shop whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := gateway.Config{WebhookSecretsFile: secrets, WebhookAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	each(t, c, func(t *testing.T, s *site) {
		got := make(chan string, 10)
		receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- r.Header.Get("webhook-id") + " " + r.Header.Get("webhook-signature") + " " + string(body)
		}))
		defer receiver.Close()
		workertest.Run(s.t, s.gateway.Run)
		a := s.call("POST", "/api/v1/tasks", `{"id":"t1","question":"why?","webhook":{"url":"`+receiver.URL+`/hook"}}`)
		if a.status != 202 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if event := <-got; !strings.HasPrefix(event, "t1 v1,") || !strings.Contains(event, `"type":"task.ended"`) || !strings.Contains(event, `"status":"completed"`) {
			t.Errorf("got %s", event)
		}
		for body, want := range map[string]string{
			`{"id":"t2","question":"a","webhook":{"url":"http://10.0.0.1/x"}}`:                       "webhook.url",
			`{"id":"t2","question":"a","webhook":{"url":"` + receiver.URL + `","secret":"no such"}}`: "webhook.secret",
		} {
			if a := s.call("POST", "/api/v1/tasks", body); a.status != 422 || !strings.Contains(a.body, want) {
				t.Errorf("%s: %d %s", body, a.status, a.body)
			}
		}
		if a := s.call("GET", "/api/v1/tasks/t2", ""); a.status != 404 {
			t.Errorf("a refused task is there: %s", a.body)
		}
	})
}
