package dashboard_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/internal/redistest"
)

var (
	aScript = regexp.MustCompile(`<script[^>]*>`)
	aNonce  = regexp.MustCompile(`nonce="([^"]+)"`)
	outside = regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]+`)
)

// The page loads nothing from elsewhere, and its policy lets nothing run that did not
// come with it.
func TestPage(t *testing.T) {
	t.Parallel()
	r := open(t, redistest.Embedded(t), dashboard.Config{})
	nonces := map[string]bool{}
	for _, path := range []string{"/monitor/", "/monitor/queues/default", "/monitor/queues/default/tasks/x", "/monitor/servers", "/monitor/q/metrics"} {
		response := r.call("GET", path, "")
		page := r.text(response, 200)
		policy := response.Header.Get("Content-Security-Policy")
		if found := outside.FindString(page); found != "" {
			t.Errorf("%s leads to %s", path, found)
		}
		scripts := aScript.FindAllString(page, -1)
		if len(scripts) < 3 {
			t.Fatalf("%s: scripts %q", path, scripts)
		}
		var inline int
		for _, s := range scripts {
			nonce := aNonce.FindStringSubmatch(s)
			switch {
			case nonce != nil:
				inline++
				nonces[nonce[1]] = true
				if !strings.Contains(policy, "'nonce-"+nonce[1]+"'") {
					t.Errorf("%s: %s is not in the policy %s", path, s, policy)
				}
			case !strings.Contains(s, `src="/monitor/static/`):
				t.Errorf("%s: %s would not run", path, s)
			}
		}
		if inline == 0 || strings.Contains(policy, "script-src 'self' 'unsafe-inline'") {
			t.Errorf("%s: %d inline scripts, policy %s", path, inline, policy)
		}
		if !strings.Contains(page, "<style>") || !strings.Contains(page, "pre-wrap") {
			t.Errorf("%s: texts have no line breaks", path)
		}
	}
	if len(nonces) != 5 {
		t.Errorf("%d nonces for 5 pages", len(nonces))
	}
}

// The box around a text has a colour for its own ground, dark in the dark theme: a rule for
// the box itself would put black on it.
func TestStyleLeavesTheBoxItsColour(t *testing.T) {
	t.Parallel()
	r := open(t, redistest.Embedded(t), dashboard.Config{})
	page := r.text(r.call("GET", "/monitor/", ""), 200)
	rules := regexp.MustCompile(`([^{}>]+)\{([^{}]*)\}`).FindAllStringSubmatch(page[strings.Index(page, "<style>"):strings.Index(page, "</style>")], -1)
	if len(rules) < 5 {
		t.Fatalf("rules: %q", rules)
	}
	for _, rule := range rules {
		for selector := range strings.SplitSeq(rule[1], ",") {
			if strings.TrimSpace(selector) == "pre" && strings.Contains(rule[2], "color") {
				t.Errorf("the style has %s", rule[0])
			}
		}
	}
}

// What the page refers to is there.
func TestPageIsWhole(t *testing.T) {
	t.Parallel()
	r := open(t, redistest.Embedded(t), dashboard.Config{})
	page := r.text(r.call("GET", "/monitor/", ""), 200)
	references := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(references) < 4 {
		t.Fatalf("references: %q", references)
	}
	shortens := 0
	for _, ref := range references {
		response := r.call("GET", ref[1], "")
		body := r.text(response, 200)
		shortens += strings.Count(body, `(e){return e.length>20?"\u2026"+e.substr(-12):e}`)
		if strings.HasPrefix(body, "<!doctype") {
			t.Errorf("%s is not there", ref[1])
		}
		js := strings.HasSuffix(ref[1], ".js")
		if kept := strings.Contains(response.Header.Get("Cache-Control"), "immutable"); kept != js {
			t.Errorf("%s: Cache-Control %q", ref[1], response.Header.Get("Cache-Control"))
		}
	}
	if shortens != 1 {
		t.Errorf("%d functions shorten ids by their end, want 1: does another asynqmon do it in other words?", shortens)
	}
	if c := r.call("GET", "/monitor/static/js/nothing.js", "").Header.Get("Cache-Control"); c != "no-store" {
		t.Errorf("a script that is not there: Cache-Control %q", c)
	}
	if to := r.call("GET", "/monitor", "").Header.Get("Location"); to != "/monitor/" {
		t.Errorf("/monitor leads to %q", to)
	}
}

// Only a page with buttons has them, and tells why one did nothing.
func TestPageFlags(t *testing.T) {
	t.Parallel()
	for write, want := range map[bool]string{false: `FLAG_READ_ONLY="true"`, true: `FLAG_READ_ONLY="false"`} {
		r := open(t, redistest.Embedded(t), dashboard.Config{Write: write})
		page := r.text(r.call("GET", "/monitor/", ""), 200)
		if !strings.Contains(page, want) || strings.Contains(page, "alert(") != write {
			t.Errorf("write %v: %s", write, page)
		}
		if !strings.Contains(page, `FLAG_PROMETHEUS_SERVER_ADDRESS=""`) {
			t.Error("the page offers charts that there are not")
		}
	}
}
