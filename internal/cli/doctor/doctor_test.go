package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/queuestate"
	"github.com/cozeq/cozeq/internal/redischeck"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/worker"
)

// like says how a finding differs from a name, a status and a pattern of its detail
// and fix.
func like(t *testing.T, f finding, name string, status redischeck.Status, pattern string) {
	t.Helper()
	text := f.Detail + " | " + f.Fix
	if f.Name != name || f.Status != status || !regexp.MustCompile(pattern).MatchString(text) {
		t.Errorf("%s %s: %s, want %s %s: %s", f.Status, f.Name, text, status, name, pattern)
	}
}

const (
	ok   = redischeck.OK
	skip = redischeck.Skip
	warn = redischeck.Warn
	fail = redischeck.Fail
)

func TestDoctorOnTerminal(t *testing.T) {
	var out bytes.Buffer
	c := &options{streams: &terminal.Streams{Out: &out, OutTTY: true, Width: 72}}
	err := c.print([]finding{
		well("redis.version", "Redis 7.0.15"),
		skipped("coze.bot", "none is set, so each question has to name its bot"),
		warned(checkName("setting", "COZE_API_TOKEN_FILE"), "chmod 600 token.txt", "token.txt: others may read it"),
		failed("redis.eviction", "redis-cli CONFIG SET maxmemory-policy noeviction", "maxmemory-policy\x1b[2J allkeys-lru"),
		failed(checkName("pause", "机器人"), "充值", "额度用尽"),
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `ok    redis.version             Redis 7.0.15
skip  coze.bot                  none is set, so each question has to
                                name its bot
warn  setting[COZE_API_TOKEN_FILE]
                                token.txt: others may read it
                                fix: chmod 600 token.txt
fail  redis.eviction            maxmemory-policy [2J allkeys-lru
                                fix: redis-cli CONFIG SET
                                maxmemory-policy noeviction
fail  pause[机器人]             额度用尽
                                fix: 充值
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	c.streams.Color = true
	if err := c.print([]finding{failed("workers", "", "none")}); err != nil || !strings.HasPrefix(out.String(), "\x1b[31mfail\x1b[0m  workers ") {
		t.Errorf("in colour %q, %v", out.String(), err)
	}
}

func examine(ctx context.Context, s *terminal.Streams, args ...string) error {
	cmd := New(s)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(args)
	return cmd.ExecuteContext(ctx)
}

func examined(t *testing.T, env map[string]string, args ...string) (d diagnosis, all string) {
	t.Helper()
	var out, errs bytes.Buffer
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	s := &terminal.Streams{
		In: strings.NewReader(""), Out: &out, Err: &errs, Width: 80,
		Env:     func(name string) (string, bool) { value, ok := env[name]; return value, ok },
		Environ: func() []string { return environ },
	}
	if err := examine(t.Context(), s, append([]string{"--json"}, args...)...); err != nil {
		fmt.Fprintln(&errs, err)
	}
	all = out.String() + errs.String()
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		t.Fatalf("%v: %s", err, all)
	}
	return d, all
}

// Whatever is set to a secret, in its place or by a slip of the pen, it is not shown.
func TestDoctorShowsNoSecret(t *testing.T) {
	const secret = "0123456789abcdefSECRET"
	nowhere := map[string]string{"COZE_API_BASE": "http://127.0.0.1:1"}
	look := func(name, value string) {
		env := maps.Clone(nowhere)
		env[name] = value
		if d, all := examined(t, env); len(d.Checks) < 4 || strings.Contains(all, secret) {
			t.Errorf("%s=%s: %s", name, value, all)
		}
	}
	for _, s := range settings.All() {
		look(s.Env, "pat_"+secret)
		if s.Secret() {
			look(s.Env, secret)
			look(s.Env, "Bearer "+secret)
		}
	}
	for _, url := range []string{"http://me:" + secret + "@127.0.0.1:1/x", "http://127.0.0.1:1/x?token=" + secret} {
		look("COZE_API_BASE", url)
		look("COZEQ_PROMETHEUS_ADDR", url)
	}
	for _, url := range []string{"redis://ann:" + secret + "@127.0.0.1:1/0", "redis://127.0.0.1:1/0?password=" + secret, secret} {
		look("REDIS_URL", url)
	}
	look("COZEQ_SOMETHING", secret)
}

// server is an HTTPS server, or an HTTP one, whose clock is off.
func server(t *testing.T, secure bool, ahead time.Duration) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusNotFound)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.URL
}

func TestRoute(t *testing.T) {
	type want struct {
		name    string
		status  redischeck.Status
		pattern string
	}
	plain := server(t, false, 0)
	for name, tt := range map[string]struct {
		base string
		apps bool
		open bool
		want []want
	}{
		"well": {plain, true, true, []want{
			{"coze.connect", ok, `^127\.0\.0\.1:\d+ answers in [\d.]+ ms \| $`},
			{"coze.clock", ok, `within 1s`},
		}},
		"a path":           {plain + "/coze/", false, true, []want{{"coze.connect", ok, "answers"}, {"coze.clock", ok, ""}}},
		"clock behind":     {server(t, false, 2*time.Minute), false, true, []want{{"coze.connect", ok, ""}, {"coze.clock", warn, `^2m behind Coze's \| set this machine's clock`}}},
		"behind, an app":   {server(t, false, 2*time.Minute), true, true, []want{{"coze.connect", ok, ""}, {"coze.clock", warn, `behind`}}},
		"far behind":       {server(t, false, 20*time.Minute), true, true, []want{{"coze.connect", ok, ""}, {"coze.clock", fail, `^20m behind Coze's: it gives an OAuth app no token`}}},
		"ahead, an app":    {server(t, false, -2*time.Minute), true, true, []want{{"coze.connect", ok, ""}, {"coze.clock", fail, `^2m ahead of`}}},
		"no trust":         {server(t, true, 0), false, false, []want{{"coze.tls", fail, `certificate.*\| install the certificates of the system`}}},
		"no TLS":           {strings.Replace(plain, "http:", "https:", 1), false, false, []want{{"coze.tls", fail, `^no TLS.*\| check scheme and port`}}},
		"nobody":           {"http://127.0.0.1:1", false, false, []want{{"coze.connect", fail, `refused.*\| let this machine reach 127\.0\.0\.1:1`}}},
		"TLS with no word": {strings.Replace(server(t, true, 0), "https:", "http:", 1), false, true, []want{{"coze.connect", ok, ""}, {"coze.clock", skip, "no date"}}},
	} {
		t.Run(name, func(t *testing.T) {
			found, open := route(t.Context(), "cozeq", "", tt.base, tt.apps)
			if open != tt.open || len(found) != len(tt.want) {
				t.Fatalf("open %v, %+v", open, found)
			}
			for i, w := range tt.want {
				like(t, found[i], w.name, w.status, w.pattern)
			}
		})
	}
}

func TestUnreached(t *testing.T) {
	u, err := http.NewRequest(http.MethodGet, "https://api.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	direct, proxied := way{url: u.URL}, way{url: u.URL, proxy: "proxy:3128"}
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, tt := range []struct {
		w                         way
		err                       error
		name, pattern, notMatched string
	}{
		{direct, dial(&net.DNSError{Err: "no such host", Name: "api.example"}), "coze.dns[there]", `^api\.example is not known: .*no such host \| check the name`, ""},
		{proxied, dial(&net.DNSError{Err: "no such host", Name: "proxy"}), "coze.connect[there]", `^the proxy proxy:3128: .*\| check HTTPS_PROXY`, ""},
		{direct, &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}, "coze.tls[there]", `\| set this machine's clock; if it is right, renew`, ""},
		{direct, context.DeadlineExceeded, "coze.connect[there]", `^api\.example does not answer within 7s \| let`, ""},
		{direct, dial(errors.New("no route to host")), "coze.connect[there]", `no route to host \| let this machine reach api\.example`, ""},
	} {
		like(t, unreached("there", "api.example", tt.w, tt.err), tt.name, fail, tt.pattern)
	}
}

func TestCertificate(t *testing.T) {
	state := func(left time.Duration) *tls.ConnectionState {
		return &tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{{NotAfter: time.Now().Add(left)}}}
	}
	like(t, certificate("redis.tls", state(90*24*time.Hour), "renew it"), "redis.tls", ok, `^TLS 1\.3, certificate good until 20\d\d-\d\d-\d\d \| $`)
	like(t, certificate("redis.tls", state(5*24*time.Hour+time.Hour), "renew it"), "redis.tls", warn, `, 5 days more \| renew it$`)
	like(t, certificate("redis.tls", &tls.ConnectionState{}, "renew it"), "redis.tls", skip, `no certificate`)
}

func TestQueueFinding(t *testing.T) {
	at := time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC)
	for _, tt := range []struct {
		q       queuestate.Queue
		served  bool
		status  redischeck.Status
		pattern string
	}{
		{queuestate.Queue{}, false, ok, `^0 pending, 0 active, .* 0 archived \| $`},
		{queuestate.Queue{Pending: 3, OldestPending: 2}, true, ok, `^3 pending.*the oldest since 2s \| $`},
		{queuestate.Queue{Pending: 3, OldestPending: 2}, false, fail, `no worker serves it \| start a worker.*--queues q$`},
		{queuestate.Queue{Pending: 3, OldestPending: 700}, true, warn, `since 11m40s \| see 'A queue that does not move'`},
		{queuestate.Queue{Archived: 9_500}, true, warn, `9500 archived: of failed tasks asynq keeps 10000, and drops the oldest \| `},
		{queuestate.Queue{Pending: 3, Paused: &queuestate.QueuePause{By: queuestate.ByOperator, Since: at}}, false, warn, `paused by an operator since 2026-11-24T01:02:03Z \| cozeq queues resume q$`},
		{queuestate.Queue{Paused: &queuestate.QueuePause{By: queuestate.ByCozeq, Since: at, Credential: "abc"}}, true, fail, `paused by cozeq since .*\| see pause\[abc\]$`},
		{queuestate.Queue{Paused: &queuestate.QueuePause{By: queuestate.ByCozeq, Since: at, Credential: "abc", Credentials: []string{"abc"}, Others: []string{"def"}}}, true, warn,
			`paused by cozeq since .* for the workers of 1 credential; those of 1 other continue \| see pause\[abc\]$`},
	} {
		tt.q.Queue = "q"
		like(t, queueFinding(tt.q, tt.served), "queue[q]", tt.status, tt.pattern)
	}
}

func TestPauseFinding(t *testing.T) {
	at := time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC)
	p := worker.Pause{Credential: "abc", Code: 4015, Class: "permanent", Message: "not published", Hint: "Publish it.", Since: at, NextProbe: at.Add(time.Minute), Aside: 2, BotID: "7"}
	like(t, pauseFinding(p, true), "pause[abc bot 7]", fail,
		`^4015 \(permanent\) since 2026-11-24T01:02:03Z: not published; 2 questions parked; next probe 2026-11-24T01:03:03Z \| Publish it\. Then cozeq queues resume NAME`)
	like(t, pauseFinding(p, false), "pause[abc bot 7]", ok, `so it ends by itself \| $`)
}

// Nobody answers, and the doctor does not wait for long: his own bound is below that
// of all checks together.
func TestDoctorEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	s := &terminal.Streams{
		In: strings.NewReader(""), Out: &out, Err: &errs, Width: 80,
		Env: func(name string) (string, bool) { return "any", name == settings.EnvToken },
	}
	code, _ := exitcode.Of(examine(ctx, s, "--redis", "redis://"+l.Addr().String(), "--coze-base", "http://"+l.Addr().String()))
	if code != exitcode.Interrupted {
		t.Errorf("exit code %d: %s%s", code, out.String(), errs.String())
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 kB", 5 << 10: "5 kB", 3 << 20: "3.0 MB", 1536 << 20: "1.5 GB", 2 << 40: "2.0 TB", 1 << 62: "4096.0 PB"} {
		if got := terminal.Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// The names are public: programs read them, and the manual lists them all.
func TestDoctorNamesAreInTheManual(t *testing.T) {
	manual, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	sources = slices.DeleteFunc(sources, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	names := map[string]bool{}
	for _, name := range []string{"role", "version", "eviction", "memory", "persistence", "writes"} {
		names["redis."+name] = true // of redischeck
	}
	quoted := regexp.MustCompile(`"((?:settings|redis|coze|disk)\.[a-z]+)"|(?:checkName\(|name = |name, .* = |failed\()"(setting|environment|credential|workers|queue|limit|pause)"`)
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
			names[m[1]+m[2]] = true
		}
	}
	if len(names) < 28 {
		t.Errorf("only %d names were found: %v", len(names), names)
	}
	for name := range names {
		if !regexp.MustCompile("(?m)^\\| .*`" + regexp.QuoteMeta(name) + "[`\\[]").Match(manual) {
			t.Errorf("docs/operations.md does not explain %s", name)
		}
	}
}
