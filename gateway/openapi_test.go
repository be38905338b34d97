package gateway_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"mime"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
)

// The OpenAPI document is a promise: a change of it is a change of testdata/openapi.json. -update writes it.
func TestOpenAPI(t *testing.T) {
	s := newSite(t, redistest.Embedded(t), gateway.Config{}, cozetest.Config{})
	a := s.call("GET", "/openapi.json", "")
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(a.body), "", "  "); err != nil || a.status != 200 {
		t.Fatalf("%d %v", a.status, err)
	}
	tasktest.Golden(t, "openapi.json", pretty.String())
}

// The server has each operation of the document, and what it answers is as the document says.
func TestOperations(t *testing.T) {
	s := newSite(t, redistest.Embedded(t), gateway.Config{}, cozetest.Config{})
	const csv, media = "question\nwhy?\n[[mock:fail=4010]]\n", "Content-Type: text/csv"
	called := map[string]bool{}
	for _, c := range []struct {
		id, method, path, body, header string
		status                         int
	}{
		{"submit", "POST", "/api/v1/tasks", `{"id":"t1","question":"why? [[mock:reasoning]]","stream":true}`, "Prefer: wait=60", 200},
		{"submit", "POST", "/api/v1/tasks", `{"id":"t2","question":"later","delay":"1h"}`, "", 202},
		{"submit", "POST", "/api/v1/tasks", `[{"id":"t3","question":"[[mock:fail=4010]]"},{"question":""}]`, "", 207},
		{"submit", "POST", "/api/v1/tasks", `{"question":"a","queue":1}`, "", 422},
		{"submit", "POST", "/api/v1/tasks", `a`, "Content-Type: text/plain", 415},
		{"submit", "POST", "/api/v1/tasks", `{"id":"t1","question":"another"}`, "", 409},
		{"result", "GET", "/api/v1/tasks/t3?wait=60s", "", "", 200},
		{"result", "GET", "/api/v1/tasks/t1?wait=soon", "", "", 422},
		{"events", "GET", "/api/v1/tasks/t1/events", "", "", 200},
		{"cancel", "POST", "/api/v1/tasks/t2/cancel", "", "", 200},
		{"submitBatch", "POST", "/api/v1/batches?id=b1&name=q.csv", csv, media, 202},
		{"submitBatch", "POST", "/api/v1/batches?id=b2", "custom_id,question\na,b\na,c\n", media, 422},
		{"batches", "GET", "/api/v1/batches?limit=1", "", "", 200},
		{"batch", "GET", "/api/v1/batches/b1", "", "", 200},
		{"batchResults", "GET", "/api/v1/batches/b1/results", "", "", 200},
		{"cancelBatch", "POST", "/api/v1/batches/b1/cancel", "", "", 200},
		{"retryBatch", "POST", "/api/v1/batches/b1/retry", "", "", 200},
		{"queues", "GET", "/api/v1/queues", "", "", 200},
		{"pause", "POST", "/api/v1/queues/low/pause", "", "", 200},
		{"pause", "POST", "/api/v1/queues/Q!/pause", "", "", 422},
		{"resume", "POST", "/api/v1/queues/low/resume", "", "", 200},
		{"failed", "GET", "/api/v1/failed", "", "", 200},
		{"failed", "GET", "/api/v1/failed?limit=0", "", "", 422},
		{"runFailed", "POST", "/api/v1/failed/run?all=true", "", "", 200},
		{"deleteFailed", "DELETE", "/api/v1/failed?all=true", "", "", 200},
	} {
		if c.id == "failed" {
			awaittest.Until(t, "asynq knows what failed", func() bool { return strings.Contains(s.call("GET", c.path, "").body, `"t3"`) || c.status != 200 })
		}
		a := s.call(c.method, c.path, c.body, cmp.Or(c.header, "Content-Type: application/json"))
		if a.status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, a.status, a.body, c.status)
		}
		called[c.id] = true
		s.checkAnswer(c.id, a)
	}
	for id, o := range s.operations() {
		if !called[id] {
			t.Errorf("%s is not tried here", id)
		}
		path := strings.NewReplacer("{id}", "none", "{name}", "low").Replace(o.Path)
		a := s.call(o.Method, path, "{}", "Content-Type: application/json")
		if strings.Contains(a.body, "see /docs") {
			t.Errorf("%s %s is not served", o.Method, path)
		}
		s.checkAnswer(id, a)
	}
}

func (s *site) operations() map[string]*huma.Operation {
	all := map[string]*huma.Operation{}
	for _, p := range s.gateway.OpenAPI().Paths {
		for _, o := range []*huma.Operation{p.Get, p.Post, p.Put, p.Patch, p.Delete} {
			if o != nil {
				all[o.OperationID] = o
			}
		}
	}
	return all
}

// checkAnswer holds an answer against the document.
func (s *site) checkAnswer(id string, a answer) {
	s.t.Helper()
	document := s.gateway.OpenAPI()
	o := s.operations()[id]
	if o == nil {
		s.t.Fatalf("there is no operation %s", id)
	}
	said := o.Responses[strconv.Itoa(a.status)]
	if said == nil && a.status >= 400 {
		said = o.Responses["default"]
	}
	if said == nil {
		s.t.Errorf("%s: %d is not documented", id, a.status)
		return
	}
	media, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	content := said.Content[media]
	if content == nil && said.Content["*/*"] != nil || media == "text/event-stream" && content != nil {
		return
	}
	var body any
	if err == nil {
		err = json.Unmarshal([]byte(a.body), &body)
	}
	if content == nil || err != nil {
		s.t.Errorf("%s: %d %s: %s, %v", id, a.status, media, a.body, err)
		return
	}
	var found huma.ValidateResult
	huma.Validate(document.Components.Schemas, content.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, body, &found)
	for _, err := range found.Errors {
		s.t.Errorf("%s: %d: %v in %s", id, a.status, err, a.body)
	}
}

// Nothing is served under /api/v1 beside the document: what is registered on the mux itself is something else.
func TestNoOtherRoutes(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	handle := regexp.MustCompile(`\bmux\.Handle(?:Func)?\((.*?), `)
	found := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range handle.FindAllStringSubmatch(string(text), -1) {
			found++
			if pattern := m[1]; pattern != `op.Method+" "+op.Path` && (!strings.HasPrefix(pattern, `"`) || strings.Contains(pattern, "/api")) {
				t.Errorf("%s serves %s without the document: use Gateway.register or raw", name, pattern)
			}
		}
	}
	if found < 5 {
		t.Errorf("found %d patterns", found)
	}
}
