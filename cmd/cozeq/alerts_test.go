package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
)

const (
	rulesDir       = "../../deploy/prometheus"
	dashboardFile  = "../../deploy/grafana/dashboards/cozeq.json"
	operationsFile = "../../docs/operations.md"
	scalerFile     = "../../deploy/kubernetes/scaledobject.yaml"
)

type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Alert, Record, Expr, For string
	Labels, Annotations      map[string]string
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rules(t *testing.T) []rule {
	t.Helper()
	paths, err := filepath.Glob(rulesDir + "/cozeq-*.yml")
	if err != nil || len(paths) < 2 {
		t.Fatalf("rules: %v, %v", paths, err)
	}
	var all []rule
	for _, path := range paths {
		var f ruleFile
		d := yaml.NewDecoder(bytes.NewReader(readFile(t, path)))
		d.KnownFields(true)
		if err := d.Decode(&f); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, g := range f.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

// TestAlerts holds each alert against what whoever is paged needs: how grave it is, what
// it means, where to look first, what to do, and a section in docs/operations.md; and
// each has a case in the rules' own tests.
func TestAlerts(t *testing.T) {
	t.Parallel()
	const runbook = "https://github.com/cozeq/cozeq/blob/main/docs/operations.md#"
	_, section, _ := bytes.Cut(readFile(t, operationsFile), []byte("\n## Alerts\n"))
	section, _, _ = bytes.Cut(section, []byte("\n## "))
	sections := map[string]string{}
	for _, part := range strings.Split(string(section), "\n### ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		sections[name] = text
	}
	tests := string(readFile(t, rulesDir+"/cozeq_test.yml"))
	alerts := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert] = true
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		for _, name := range []string{"summary", "description", "first_look", "fix"} {
			if r.Annotations[name] == "" {
				t.Errorf("%s has no %s", r.Alert, name)
			}
		}
		if got, want := r.Annotations["runbook_url"], runbook+strings.ToLower(r.Alert); got != want {
			t.Errorf("%s: runbook_url %s, want %s", r.Alert, got, want)
		}
		for _, part := range []string{"- **Meaning.** ", "- **First look.** ", "- **Fix.** "} {
			if !strings.Contains(sections[r.Alert], part) {
				t.Errorf("%s: its section in %s has no %q", r.Alert, operationsFile, part)
			}
		}
		if !strings.Contains(strings.ToLower(sections[r.Alert]), r.Labels["severity"]) {
			t.Errorf("%s: its section does not say that it is %s", r.Alert, r.Labels["severity"])
		}
		firing := regexp.MustCompile(r.Alert + `", alertstate="firing", severity="` + r.Labels["severity"])
		if !firing.MatchString(tests) && !regexp.MustCompile(`alertname="`+r.Alert+`".*severity="`+r.Labels["severity"]).MatchString(tests) {
			t.Errorf("%s (%s) fires in no test", r.Alert, r.Labels["severity"])
		}
	}
	for name := range sections {
		if !alerts[name] {
			t.Errorf("%s: there is no alert %s", operationsFile, name)
		}
	}
}

// query is one that somebody relies on, and where it stands.
type query struct{ where, expr string }

// grafanaModel is as much of Grafana's model as is held against.
type grafanaModel struct {
	UID, Title  string
	Annotations struct {
		List []struct{ Name, Expr string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
	Panels []struct {
		ID                       int
		Type, Title, Description string
		GridPos                  struct{ H, W, X, Y int }
		Datasource               struct{ UID string }
		Targets                  []struct {
			Expr, LegendFormat, RefID string
			Datasource                struct{ UID string }
		}
	}
}

func readDashboard(t *testing.T) grafanaModel {
	t.Helper()
	var d grafanaModel
	if err := json.Unmarshal(readFile(t, dashboardFile), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d grafanaModel) queries() []query {
	var all []query
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, query{"panel " + p.Title, target.Expr})
		}
	}
	for _, a := range d.Annotations.List {
		if a.Expr != "" {
			all = append(all, query{"annotation " + a.Name, a.Expr})
		}
	}
	return all
}

// scalerQuery is what KEDA asks Prometheus, to know how many workers there should be.
func scalerQuery(t *testing.T) query {
	t.Helper()
	var file struct {
		Spec struct {
			Triggers []struct {
				Type     string
				Metadata map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(readFile(t, scalerFile), &file); err != nil {
		t.Fatal(err)
	}
	triggers := file.Spec.Triggers
	if len(triggers) != 1 || triggers[0].Type != "prometheus" || triggers[0].Metadata["query"] == "" {
		t.Fatalf("%s: triggers %v, want one with a query of Prometheus", scalerFile, triggers)
	}
	return query{scalerFile, triggers[0].Metadata["query"]}
}

// TestScaler wants KEDA's query to be one that the rules' own tests try.
func TestScaler(t *testing.T) {
	t.Parallel()
	var file struct {
		Tests []struct {
			Exprs []struct{ Expr string } `yaml:"promql_expr_test"`
		}
	}
	if err := yaml.Unmarshal(readFile(t, rulesDir+"/cozeq_test.yml"), &file); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, test := range file.Tests {
		for _, e := range test.Exprs {
			if e.Expr == scalerQuery(t).expr {
				tried++
			}
		}
	}
	if tried < 2 {
		t.Errorf("cozeq_test.yml tries %s %d times, want it with a queue that waits and with one that is paused", scalerQuery(t).expr, tried)
	}
}

// TestDashboard checks what Grafana would not say: panels that overlap or share an id, a
// query without its datasource, a variable that there is not.
func TestDashboard(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	variables := []string{"__rate_interval"}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("panel %q has id %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		if g := p.GridPos; g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("panel %q stands at %+v", p.Title, g)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other := taken[cell]; other != "" {
					t.Fatalf("panels %q and %q overlap", p.Title, other)
				}
				taken[cell] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q: %d queries of datasource %q", p.Title, len(p.Targets), p.Datasource.UID)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] || target.Expr == "" || target.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q: query %+v", p.Title, target)
			}
			refs[target.RefID] = true
			for _, used := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !slices.Contains(variables, used[1]) {
					t.Errorf("panel %q: there is no variable %s", p.Title, used[1])
				}
			}
			for _, label := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if !strings.Contains(target.Expr, label[1]) && label[1] != "instance" {
					t.Errorf("panel %q: its legend has %s, its query %s has not", p.Title, label[1], target.Expr)
				}
			}
		}
	}
}

// TestMetricNames wants every name that a rule, a panel or a page of the manual uses to
// be one that the program makes, or that a rule records.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	s := session.New(redistest.Embedded(t), nil)
	defer s.Close()
	reg, _ := allMetrics(t, s, settings.Account{Credential: settings.Credential{Token: coze.StaticToken("pat_x")}})
	known := reg.names
	known["up"], known["ALERTS"] = true, true
	var queries []query
	for _, r := range rules(t) {
		queries = append(queries, query{"rule " + cmp.Or(r.Alert, r.Record), r.Expr})
		if r.Record != "" {
			known[r.Record] = true
		}
	}
	queries = append(queries, scalerQuery(t))
	d := readDashboard(t)
	queries = append(queries, d.queries()...)
	for _, v := range d.Templating.List {
		queries = append(queries, query{"variable " + v.Name, v.Definition})
	}
	// What is no rule and no query: only cozeq's own names are looked at.
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages in docs: ", err)
	}
	for _, path := range append(pages, "../../README.md", "../../README.zh-CN.md", rulesDir+"/cozeq_test.yml") {
		queries = append(queries, query{path, string(readFile(t, path))})
	}
	names := regexp.MustCompile(`\b(cozeq_[a-z0-9_]*[a-z0-9]|cozeq:[a-z0-9_]+:[a-z0-9_]+|(?:go|process)_[a-z0-9_]*[a-z0-9])\b`)
	found := map[string]bool{}
	for _, q := range queries {
		for _, name := range names.FindAllString(q.expr, -1) {
			base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			if !known[name] && !known[base] && !allowedWord[name] && (strings.HasPrefix(name, "cozeq") || !strings.HasSuffix(q.where, ".md")) {
				t.Errorf("%s: there is no metric %s", q.where, name)
			}
			found[name], found[base] = true, true
		}
	}
	for _, name := range reg.ours() {
		if !found[name] {
			t.Errorf("%s is neither shown, nor watched, nor explained", name)
		}
	}
}

// allowedWord are words of the manual that look like a metric's name.
var allowedWord = map[string]bool{"cozeq_task": true, "cozeq_queue": true, "cozeq_redis": true, "cozeq_test": true, "cozeq:done:01a2074f": true}

// TestPromtool has Prometheus' own tool check the rules, run their tests, and check the
// queries of the dashboard and of KEDA, as rules that record them.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath(cmp.Or(os.Getenv("COZEQ_PROMTOOL"), "promtool"))
	if err != nil {
		if os.Getenv("COZEQ_REQUIRE_PROMTOOL") != "" {
			t.Fatalf("no promtool: %v", err)
		}
		t.Skip("no promtool on PATH: bash .ci/promtool says how to get it")
	}
	promtool, err = filepath.Abs(promtool)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs(rulesDir)
	if err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer("$__rate_interval", "5m", "$queue", ".*", "$instance", ".*")
	text := []byte("groups: [{name: dashboard, rules: [")
	for i, q := range append(readDashboard(t).queries(), scalerQuery(t)) {
		text = fmt.Appendf(text, "{record: dashboard:query:%d, expr: %q},\n", i, filled.Replace(q.expr))
	}
	queries := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(queries, append(text, "]}]"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "config", "prometheus.yml"}, // and the files of rules that it names
		{"check", "rules", queries},
		{"test", "rules", "cozeq_test.yml"},
	} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
