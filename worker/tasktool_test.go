package worker_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// Tools that tasks bring along are posted to. What goes wrong is told to the bot, and none is posted twice.
func TestTaskTools(t *testing.T) {
	t.Parallel()
	posted := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted <- r.Header.Get("webhook-id") + " " + r.Header.Get("webhook-signature") + " " + string(body)
		switch r.URL.Path {
		case "/fail":
			http.Error(w, "no such city", http.StatusNotFound)
		case "/slow":
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, `{"temperature":21}`)
		}
	}))
	t.Cleanup(receiver.Close)
	secrets := writeFile(t, "secrets", toolSecret+"shop whsec_bm1sa2ppaGdmZWRjYmE5ODc2NTQzMjEw\n")
	cases := []struct {
		question, tenant string
		tool             tasks.ToolWebhook
		posts            int
		answer           string // a part of it
	}{
		{"well [[mock:action=t]]", "", tasks.ToolWebhook{URL: receiver.URL}, 1, `t gave {"temperature":21}.`},
		{"the worker's too [[mock:action=echo,t]]", "", tasks.ToolWebhook{URL: receiver.URL}, 1, `echo gave {"location":"here"}. t gave {"temperature":21}.`},
		{"rounds [[mock:action=t rounds=3]]", "shop", tasks.ToolWebhook{URL: receiver.URL}, 3, `t gave {"temperature":21}. t gave`},
		{"fail [[mock:action=t]]", "", tasks.ToolWebhook{URL: receiver.URL + "/fail"}, 1, `t gave {"error":"the receiver answered 404 Not Found: no such city"}.`},
		{"slow [[mock:action=t]]", "", tasks.ToolWebhook{URL: receiver.URL + "/slow"}, 1, `t gave {"error":"the tool took too long: more than 2s"}.`},
		{"refused [[mock:action=t]]", "", tasks.ToolWebhook{URL: "https://169.254.169.254/latest"}, 0, `t gave {"error":"t.url: 169.254.169.254 is not a public address`},
		{"another's secret [[mock:action=t]]", "shop", tasks.ToolWebhook{URL: receiver.URL, Secret: "default"}, 0, `t gave {"error":"t.secret: there is no secret of this name for you, only shop"}.`},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb)
		reg, metrics := collectors(rdb)
		l.work(func(c *worker.Config) {
			c.Tools, c.TaskTool = testTools(new(atomic.Int32)), taskTools(secrets)
			c.ToolTimeout, c.Metrics = 2*time.Second, metrics
		})
		ids, want := make([]string, len(cases)), 0
		for i, c := range cases {
			chat := tasks.Ask("bot", c.question)
			chat.Tenant, chat.Tools = c.tenant, map[string]tasks.ToolWebhook{"t": c.tool}
			ids[i] = l.enqueue(chat, tasks.Options{})
			want += c.posts
		}
		for i, c := range cases {
			if r := l.wait(ids[i]); r.Status != results.Completed || !strings.Contains(r.Answer, c.answer) {
				t.Errorf("%s: %s %q %+v", c.question, r.Status, r.Answer, r.Error)
			}
		}
		seen := make(map[string]bool)
		for range want {
			call := <-posted
			id, rest, _ := strings.Cut(call, " ")
			if seen[id] || !strings.HasPrefix(rest, "v1,") || !strings.Contains(call, `"type":"tool.called"`) || !strings.Contains(call, `"data":{"id":"`+id+`"`) ||
				!strings.Contains(call, `"name":"t","arguments":{"location":"here"}}}`) {
				t.Errorf("posted %s", call)
			}
			seen[id] = true
		}
		if len(posted) != 0 {
			t.Errorf("posted once more: %s", <-posted)
		}
		counts := map[string]float64{"outcome=ok,tool=(task)": 5, "outcome=ok,tool=echo": 1, "outcome=error,tool=(task)": 3, "outcome=timeout,tool=(task)": 1}
		if got := gathered(t, reg, "cozeq_tool_calls_total"); !maps.Equal(got, counts) {
			t.Errorf("counted %v, want %v", got, counts)
		}
	})
}

// A worker without secrets says so, and the question is not asked again.
func TestTaskToolsUnsigned(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	chat := tasks.Ask("bot", "why? [[mock:action=t]]")
	chat.Tools = map[string]tasks.ToolWebhook{"t": {URL: "https://example.com"}}
	if r := l.wait(l.enqueue(chat, tasks.Options{})); r.Status != results.Failed || r.Error.Class != "action" || !strings.Contains(r.Error.Message, "COZEQ_WEBHOOK_SECRETS_FILE") {
		t.Errorf("%s %+v", r.Status, r.Error)
	}
}
