package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/redistest"
)

// page asks and watches as docs/http.md shows it, but leaves the end to the server: the browser comes again, and is told not to.
const page = `<!doctype html><script>
(async () => {
  const said = {opened: 0, text: "", resets: 0};
  const report = () => fetch("/report", {method: "POST", body: JSON.stringify(said)});
  try {
    const api = new URLSearchParams(location.search).get("api") + "/api/v1/tasks";
    const response = await fetch(api, {method: "POST", headers: {"Content-Type": "application/json", "Idempotency-Key": "k"},
      body: JSON.stringify({question: "why?", stream: true})});
    said.status = response.status;
    said.request = response.headers.get("X-Request-Id");
    const events = new EventSource(api + "/" + (await response.json()).id + "/events");
    events.onopen = () => said.opened++;
    events.onerror = () => { if (events.readyState === EventSource.CLOSED) report(); };
    events.addEventListener("delta", e => said.text += JSON.parse(e.data).text);
    events.addEventListener("reset", () => said.resets++);
    events.addEventListener("end", e => said.answer = JSON.parse(e.data).answer);
  } catch (e) {
    said.failed = String(e);
    report();
  }
})();
</script>`

type said struct {
	Status, Opened, Resets        int
	Request, Text, Answer, Failed string
}

// TestBrowser has the EventSource of a real browser cut twice, on a page of another origin: it comes back with Last-Event-ID,
// gets every piece once, and stops after the end. A page of an origin that is not allowed gets nothing.
func TestBrowser(t *testing.T) {
	open := chromium(t)
	reports := make(chan said, 1)
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/report" {
			_, _ = io.WriteString(w, page)
			return
		}
		var s said
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			t.Error(err)
		}
		reports <- s
	})
	allowed, other := httptest.NewServer(pages), httptest.NewServer(pages)
	defer allowed.Close()
	defer other.Close()

	s := newSite(t, redistest.Embedded(t), gateway.Config{Origins: []string{allowed.URL}}, cozetest.Config{DeltaPace: 100 * time.Millisecond})
	cutting := &cutting{next: s.gateway, cuts: []int{2, 3}}
	server := httptest.NewServer(cutting)
	defer server.Close()

	visit := func(origin string) (s said) {
		open(origin + "/?api=" + server.URL)
		select {
		case s = <-reports:
		case <-time.After(2 * time.Minute):
			t.Fatalf("the page does not report; it has watched with %q", cutting.came)
		}
		return s
	}
	got := visit(allowed.URL)
	const answer = `Mock answer to "why?".`
	if got.Status != 202 || got.Request == "" || got.Text != answer || got.Answer != answer || got.Resets != 0 || got.Opened != 3 {
		t.Errorf("the page reports %+v", got)
	}
	if came := cutting.came; len(came) != 4 || came[0] != "" || came[1] == "" || came[2] <= came[1] || came[3] <= came[2] {
		t.Errorf("it came with %q", came)
	}
	if got := visit(other.URL); !strings.Contains(got.Failed, "TypeError") || got.Text != "" {
		t.Errorf("a page of another origin reports %+v", got)
	}
}

// cutting is a network that cuts streams of events, each behind so many of its events.
type cutting struct {
	next http.Handler

	mu   sync.Mutex
	cuts []int
	came []string // the Last-Event-ID of each
}

func (c *cutting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/events") {
		c.mu.Lock()
		c.came = append(c.came, r.Header.Get("Last-Event-ID"))
		if len(c.cuts) > 0 {
			w = &cutWriter{w, c.cuts[0]}
			c.cuts = c.cuts[1:]
		}
		c.mu.Unlock()
	}
	c.next.ServeHTTP(w, r)
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *cutWriter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "id: ") {
		if w.left--; w.left < 0 {
			panic(http.ErrAbortHandler)
		}
	}
	return w.ResponseWriter.Write(p)
}

// chromium returns what opens a page in a browser without a window, until the test ends. Without one the test is skipped,
// unless COZEQ_REQUIRE_CHROMIUM=1.
func chromium(t *testing.T) (open func(url string)) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a browser: not with -short")
	}
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		if os.Getenv("COZEQ_REQUIRE_CHROMIUM") == "1" {
			t.Fatal("no chromium on PATH")
		}
		t.Skip("not tried: no chromium on PATH; on Debian apt-get install chromium")
	}
	return func(url string) {
		t.Helper()
		profile, err := os.MkdirTemp("", "chromium")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
			"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-port=0",
			"--user-data-dir="+profile, url)
		cmd.Env = append(os.Environ(), "HOME="+profile)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Signal(os.Interrupt) // so that it ends its children first, which write to the profile
			defer time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
			_ = cmd.Wait()
			_ = os.RemoveAll(profile)
		})
	}
}
