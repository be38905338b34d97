package dashboard_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/internal/redistest"
)

const goodToken = "correct-horse-battery-staple"

func TestLock(t *testing.T) {
	t.Parallel()
	const pause = "POST /monitor/api/queues/default:pause"
	for _, c := range []struct {
		name    string
		token   bool
		write   bool
		request string
		host    string
		headers []string
		want    int
	}{
		{"no token, by name", false, false, "GET /monitor/", "localhost:8081", nil, 200},
		{"no token, by name without a port", false, false, "GET /monitor/", "LOCALHOST", nil, 200},
		{"no token, by address", false, false, "GET /monitor/api/queues", "127.0.0.1:8081", nil, 200},
		{"no token, by another loopback address", false, false, "GET /monitor/api/queues", "127.8.9.1", nil, 200},
		{"no token, by IPv6", false, false, "GET /monitor/api/queues", "[::1]:8081", nil, 200},
		{"rebound name", false, false, "GET /monitor/api/queues", "evil.example", nil, 403},
		{"rebound name with our port", false, false, "GET /monitor/", "evil.example:8081", nil, 403},
		{"rebound name that begins like ours", false, false, "GET /monitor/", "localhost.evil.example", nil, 403},
		{"rebound name that looks like an address", false, false, "GET /monitor/", "127.0.0.1.evil.example", nil, 403},
		{"address of a network", false, false, "GET /monitor/", "192.168.1.2:8081", nil, 403},
		{"no host", false, false, "GET /monitor/", "", nil, 403},
		{"scripts are behind it, too", false, false, "GET /monitor/static/js/main.js", "evil.example", nil, 403},

		{"nobody", true, false, "GET /monitor/", "dash.example", nil, 401},
		{"nobody, by loopback", true, false, "GET /monitor/api/queues", "localhost", nil, 401},
		{"password", true, false, "GET /monitor/", "dash.example", []string{"Authorization", basic("ops", goodToken)}, 200},
		{"password, no name", true, false, "GET /monitor/api/queues", "dash.example", []string{"Authorization", basic("", goodToken)}, 200},
		{"token as the name", true, false, "GET /monitor/", "dash.example", []string{"Authorization", basic(goodToken, "")}, 401},
		{"wrong password", true, false, "GET /monitor/", "dash.example", []string{"Authorization", basic("ops", goodToken+"x")}, 401},
		{"half the password", true, false, "GET /monitor/", "dash.example", []string{"Authorization", basic("ops", goodToken[:8])}, 401},
		{"bearer", true, false, "GET /monitor/api/queues", "dash.example", []string{"Authorization", "bearer " + goodToken}, 200},
		{"wrong bearer", true, false, "GET /monitor/api/queues", "dash.example", []string{"Authorization", "Bearer x"}, 401},
		{"empty bearer", true, false, "GET /monitor/api/queues", "dash.example", []string{"Authorization", "Bearer "}, 401},
		{"another scheme", true, false, "GET /monitor/", "dash.example", []string{"Authorization", "Digest " + goodToken}, 401},

		{"read-only", false, false, pause, "localhost", nil, 405},
		{"read-only with a token", true, false, pause, "dash.example", []string{"Authorization", basic("", goodToken)}, 405},
		{"read-only delete", false, false, "DELETE /monitor/api/queues/default", "localhost", nil, 405},
		{"read-only, no token", true, false, pause, "dash.example", nil, 401},
		{"write from a program", false, true, pause, "localhost", nil, 204},
		{"write from our page", false, true, pause, "localhost:8081", []string{"Origin", "http://localhost:8081", "Sec-Fetch-Site", "same-origin"}, 204},
		{"write from our page, old browser", false, true, pause, "localhost:8081", []string{"Origin", "http://localhost:8081"}, 204},
		{"write from another site", false, true, pause, "localhost:8081", []string{"Origin", "https://evil.example"}, 403},
		{"write from another site, new browser", false, true, pause, "localhost:8081", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"write from another port of ours", false, true, pause, "localhost:8081", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:3000"}, 403},
		{"write from a page without an origin", false, true, pause, "localhost:8081", []string{"Origin", "null"}, 403},
		{"write from another site with the browser's password", true, true, pause, "dash.example",
			[]string{"Authorization", basic("", goodToken), "Origin", "https://evil.example"}, 403},
		{"write with a token", true, true, pause, "dash.example", []string{"Authorization", basic("", goodToken)}, 204},
		{"write without one", true, true, pause, "dash.example", nil, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rdb := redistest.Embedded(t)
			if err := rdb.SAdd(t.Context(), "asynq:queues", "default").Err(); err != nil {
				t.Fatal(err)
			}
			var log buffer
			config := dashboard.Config{Write: c.write, Log: log.logger()}
			if c.token {
				config.Token = func(context.Context) (string, error) { return goodToken, nil }
			}
			r := open(t, rdb, config)
			method, path, _ := strings.Cut(c.request, " ")
			request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
			request.Host = c.host
			for i := 0; i < len(c.headers); i += 2 {
				request.Header.Set(c.headers[i], c.headers[i+1])
			}
			w := httptest.NewRecorder()
			r.ServeHTTP(w, request)
			body := r.text(w.Result(), c.want)
			if asks := w.Header().Get("WWW-Authenticate") != ""; asks != (c.want == 401) {
				t.Errorf("status %d, WWW-Authenticate %q", c.want, w.Header().Get("WWW-Authenticate"))
			}
			for where, text := range map[string]string{"the log": log.String(), "the answer": body} {
				if strings.Contains(text, goodToken) || strings.Contains(text, goodToken[:8]) {
					t.Errorf("%s holds the token: %s", where, text)
				}
			}
			paused, err := rdb.Exists(t.Context(), "asynq:{default}:paused").Result()
			if err != nil || (paused == 1) != (c.want == 204) {
				t.Errorf("status %d, and the queue's pause is %d, %v", c.want, paused, err)
			}
			for _, h := range []string{"X-Content-Type-Options", "X-Frame-Options", "Content-Security-Policy"} {
				if w.Header().Get(h) == "" {
					t.Errorf("no %s", h)
				}
			}
		})
	}
}

func basic(name, password string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth(name, password)
	return r.Header.Get("Authorization")
}

// A token that cannot be read lets nobody in, and the log says why.
func TestTokenUnreadable(t *testing.T) {
	t.Parallel()
	var log buffer
	r := open(t, redistest.Embedded(t), dashboard.Config{
		Log:   log.logger(),
		Token: func(context.Context) (string, error) { return "", errors.New("it is gone") },
	})
	r.text(r.call("GET", "/monitor/", "", "Authorization", basic("", "")), 503)
	if !strings.Contains(log.String(), "it is gone") {
		t.Errorf("the log: %q", log.String())
	}
}

// A token that was changed is the only good one from then on.
func TestTokenChanges(t *testing.T) {
	t.Parallel()
	token := goodToken
	r := open(t, redistest.Embedded(t), dashboard.Config{Token: func(context.Context) (string, error) { return token, nil }})
	r.text(r.call("GET", "/monitor/", "", "Authorization", basic("", goodToken)), 200)
	token = "another-token-altogether"
	r.text(r.call("GET", "/monitor/", "", "Authorization", basic("", goodToken)), 401)
	r.text(r.call("GET", "/monitor/", "", "Authorization", basic("", token)), 200)
}
