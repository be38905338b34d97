package worker_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// secret is a token, none of whose pieces of secretPiece bytes comes about by chance.
const (
	secret      = "pat_Zq7Xw2Kd9Vr4Tn6Yb1Mc8Hs3Lf5Gj0PaQeRuWi"
	secretPiece = 8
)

// mirror stands before Coze and, for questions that ask for it, shows what it was
// sent, as gateways do that are set up badly.
type mirror struct {
	coze  http.Handler
	clear atomic.Bool // it shows nothing any more, and only passes on
	shown sync.Map    // the ways in which it showed the token
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, way, found := strings.Cut(string(body), "mirror:")
	if r.URL.Path != "/v3/chat" || !found || m.clear.Load() {
		m.coze.ServeHTTP(w, r)
		return
	}
	token := r.Header.Get("Authorization")
	way, _, _ = strings.Cut(way, " ")
	if strings.Contains(token, secret) {
		m.shown.Store(way, true)
	}
	switch way {
	case "page":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<html><body><pre>Authorization: %s\r\n</pre></body></html>", token)
	case "pages": // the token is cut off where a reader is likely to stop
		w.WriteHeader(http.StatusForbidden)
		for n := range 80 {
			fmt.Fprintf(w, "%*s%s\r\n", 20+n, "", token)
		}
	case "envelope":
		fmt.Fprintf(w, `{"code":4000,"msg":"bad header\r\nAuthorization:\t%s\u0000%s","detail":{"logid":"none"}}`, token, token)
	case "auth":
		fmt.Fprintf(w, `{"code":4100,"msg":"no such token: %s (\"%s\")"}`, secret, token)
	case "logid":
		w.Header().Set("X-Tt-Logid", token)
		fmt.Fprint(w, `{"code":4000,"msg":"bad header"}`)
	case "redirect":
		http.Redirect(w, r, "/login?token="+secret, http.StatusTemporaryRedirect)
	case "garbage": // no HTTP at all: its first line becomes the error's text
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			fmt.Fprintf(conn, "%s\r\n\r\n", token)
			conn.Close()
		}
	}
}

// TestSecrets has the token shown in all that may fail and looks for it, and for
// pieces of it, in everything that a worker leaves behind.
func TestSecrets(t *testing.T) {
	t.Parallel()
	// With every write in the append-only file also what was overwritten is seen.
	rdb := redistest.Start(t, redistest.AppendOnly("always")).Client()
	echo := func(question string, f cozetest.Fault) cozetest.Rule {
		f.Msg = "Authorization: Bearer " + secret + " is not good for " + secret
		rule := cozetest.Rule{Contains: question, Fault: f}
		if f.Kind == cozetest.Limit {
			rule.Times = 1
		}
		return rule
	}
	l := newLine(t, rdb, cozetest.With(cozetest.Config{Tokens: []string{secret}}), cozetest.WithRules(
		echo("refused", cozetest.Fault{Kind: cozetest.Refuse, Code: 4014}),
		echo("unknown", cozetest.Fault{Kind: cozetest.Refuse, Code: 799999998}),
		echo("limited", cozetest.Fault{Kind: cozetest.Limit, Code: 4013}),
		echo("event at once", cozetest.Fault{Kind: cozetest.Error, Code: 4000}),
		echo("event inside", cozetest.Fault{Kind: cozetest.Error, Code: 5000, After: 4}),
		echo("bare", cozetest.Fault{Kind: cozetest.Bare, Code: 5000, After: 3}),
		echo("failed", cozetest.Fault{Kind: cozetest.Fail, Code: 5000}),
		echo("flat", cozetest.Fault{Kind: cozetest.FailFlat, Code: 720702204}),
	))
	front := &mirror{coze: l.fake}
	server := httptest.NewServer(front)
	t.Cleanup(server.Close)

	var logs bytes.Buffer
	reg := prometheus.NewRegistry()
	metrics := worker.NewMetrics(reg)
	reg.MustRegister(worker.Collectors(rdb, []string{tasks.QueueDefault})...)
	published := l.published()
	stop := l.work(func(c *worker.Config) {
		c.Coze.BaseURL, c.Coze.Auth, c.Coze.Idle = server.URL, coze.StaticToken(secret), 3*time.Second
		c.Logger = slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
		c.Metrics = metrics
	})

	var ids []string
	send := func(question string) string {
		chat := tasks.Ask("bot", question)
		chat.Stream = true
		id := l.enqueue(chat, tasks.Options{Attempts: 2})
		ids = append(ids, id)
		return id
	}
	cases := []struct {
		question string
		status   results.Status
		id       string
	}{
		{question: "plain", status: results.Completed},
		{question: "limited", status: results.Completed},
		{question: "refused", status: results.Failed},
		{question: "unknown", status: results.Failed},
		{question: "event at once", status: results.Failed},
		{question: "event inside", status: results.Failed},
		{question: "bare", status: results.Failed},
		{question: "failed", status: results.Failed},
		{question: "flat", status: results.Failed},
		{question: "cut [[mock:cut=1]]", status: results.Completed},
		{question: "reset [[mock:cut=5 reset]]", status: results.Completed},
		{question: "stall [[mock:stall after=4]]", status: results.Completed},
		{question: "gateway [[mock:gateway=504 created times=1]]", status: results.Completed},
		{question: "mirror:page ", status: results.Failed},
		{question: "mirror:pages ", status: results.Failed},
		{question: "mirror:envelope ", status: results.Failed},
		{question: "mirror:logid ", status: results.Failed},
		{question: "mirror:garbage ", status: results.Failed},
	}
	for i := range cases {
		cases[i].id = send(cases[i].question)
	}
	for _, c := range cases {
		r := l.wait(c.id)
		if r.Status != c.status {
			t.Errorf("%s: got %+v %+v, want %s", c.question, r, r.Error, c.status)
		}
	}
	var paused []string
	for _, way := range []string{"mirror:auth ", "mirror:redirect "} {
		front.clear.Store(false)
		refused := send(way)
		awaittest.Until(t, "the pause", func() bool { p := l.paused(); return len(p) == 1 && l.queue().Paused })
		paused = append(append(paused, l.left(ids, reg)...), fmt.Sprintf("pause %+v", l.paused()))
		front.clear.Store(true)
		if _, err := worker.ProbeNow(t.Context(), rdb); err != nil {
			t.Fatal(err)
		}
		if r := l.wait(refused); r.Status != results.Completed {
			t.Errorf("got %+v %+v", r, r.Error)
		}
		awaittest.Until(t, "the end of the pause", func() bool { return len(l.paused()) == 0 })
	}
	stop()

	all := append(paused, l.left(ids, reg)...)
	all = append(all, l.written()...)
	all = append(all, published()...)
	all = append(all, "logs "+logs.String())
	places := map[string]bool{} // that were seen to hold what the token was hidden in
	for _, text := range all {
		place, _, _ := strings.Cut(text, " ")
		places[place] = places[place] || strings.Contains(text, "[redacted]")
		for at := range len(secret) - secretPiece + 1 {
			if i := strings.Index(text, secret[at:at+secretPiece]); i >= 0 {
				t.Errorf("a piece of the token in %s: %q", place, text[max(0, i-200):min(len(text), i+100)])
				break
			}
		}
	}
	for _, place := range []string{"task", "result", "pause", "key", "file", "channel", "logs"} {
		if !places[place] {
			t.Errorf("nothing was hidden in any %s: the test has not looked where the token might be", place)
		}
	}
	for _, way := range []string{"page", "pages", "envelope", "logid", "redirect", "garbage", "auth"} {
		if _, ok := front.shown.Load(way); !ok {
			t.Errorf("the mirror %q never saw the token", way)
		}
	}
}

// written is what Redis was ever told to keep.
func (l *line) written() (texts []string) {
	l.t.Helper()
	dir := l.rdb.ConfigGet(l.t.Context(), "dir").Val()["dir"]
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.Contains(path, "appendonly") {
			return err
		}
		content, err := os.ReadFile(path)
		texts = append(texts, "file "+path+": "+string(content))
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return texts
}

// published listens to all channels; the function ends that and returns what was
// said.
func (l *line) published() (stop func() []string) {
	l.t.Helper()
	all := l.rdb.PSubscribe(l.t.Context(), "*")
	if _, err := all.Receive(l.t.Context()); err != nil { // from here on nothing is missed
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = all.Close() }) // for a test that ends early
	done := make(chan []string, 1)
	go func() {
		var texts []string
		for m := range all.Channel(redis.WithChannelSize(10_000)) {
			texts = append(texts, "channel "+m.Channel+": "+m.Payload)
		}
		done <- texts
	}()
	return func() []string {
		if err := all.Close(); err != nil {
			l.t.Error(err)
		}
		return <-done
	}
}

// left is what is there to read: every key of Redis, asynq's word on the tasks, their
// results, and what is scraped.
func (l *line) left(ids []string, reg *prometheus.Registry) (texts []string) {
	l.t.Helper()
	inspector := asynq.NewInspectorFromRedisClient(l.rdb)
	for _, id := range ids {
		info, err := inspector.GetTaskInfo(tasks.QueueDefault, id)
		if err != nil {
			l.t.Fatal(err)
		}
		texts = append(texts, fmt.Sprintf("task %s: %s, %s, %s", id, info.Payload, info.LastErr, info.Result))
		r, err := l.store.Get(l.t.Context(), id)
		if err != nil {
			l.t.Fatal(err)
		}
		encoded, err := r.Encode()
		if err != nil {
			l.t.Fatal(err)
		}
		texts = append(texts, "result "+string(encoded))
	}
	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	texts = append(texts, "metrics "+scrape.Body.String())
	keys := l.rdb.Scan(l.t.Context(), 0, "*", 1000).Iterator()
	for keys.Next(l.t.Context()) {
		texts = append(texts, "key "+keys.Val()+": "+l.value(keys.Val()))
	}
	if err := keys.Err(); err != nil {
		l.t.Fatal(err)
	}
	return texts
}

// value is all that a key holds; "" for one that has just gone.
func (l *line) value(key string) string {
	l.t.Helper()
	ctx := l.t.Context()
	var value any
	var err error
	switch kind := l.rdb.Type(ctx, key).Val(); kind {
	case "string":
		value, err = l.rdb.Get(ctx, key).Result()
	case "list":
		value, err = l.rdb.LRange(ctx, key, 0, -1).Result()
	case "set":
		value, err = l.rdb.SMembers(ctx, key).Result()
	case "zset":
		value, err = l.rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
	case "hash":
		value, err = l.rdb.HGetAll(ctx, key).Result()
	case "stream":
		value, err = l.rdb.XRange(ctx, key, "-", "+").Result()
	case "none":
		return ""
	default:
		l.t.Errorf("%s is a %s: nobody has looked into it", key, kind)
	}
	if err != nil && err != redis.Nil {
		l.t.Fatal(err)
	}
	return fmt.Sprint(value)
}
