package gateway_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
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

	// The server has each operation of the document, and answers with a status that it names.
	var document struct {
		Paths map[string]map[string]struct {
			Responses map[string]any
		}
	}
	if err := json.Unmarshal([]byte(a.body), &document); err != nil || len(document.Paths) < 10 {
		t.Fatalf("%d paths, %v", len(document.Paths), err)
	}
	for path, operations := range document.Paths {
		for method, operation := range operations {
			a := s.call(strings.ToUpper(method), strings.NewReplacer("{id}", "none", "{name}", "low").Replace(path), "{}", "Content-Type: application/json")
			_, documented := operation.Responses[strconv.Itoa(a.status)]
			_, other := operation.Responses["default"]
			if strings.Contains(a.body, "see /docs") || !documented && !other {
				t.Errorf("%s %s: %d %s, documented are %v", method, path, a.status, a.body, operation.Responses)
			}
		}
	}
}
