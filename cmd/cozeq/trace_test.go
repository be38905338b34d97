package main

import (
	"cmp"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes spans as an OpenTelemetry collector does, over OTLP/HTTP.
type collector struct {
	mu      sync.Mutex
	refuse  bool
	headers []string // of all requests, NAME: VALUE
	spans   []exported
}

type exported struct {
	*tracepb.Span
	resource map[string]string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, values := range r.Header {
		c.headers = append(c.headers, name+": "+values[0])
	}
	if c.refuse { // as gateways do that are set up badly: with what they were sent
		http.Error(w, "no: Authorization: "+r.Header.Get("Authorization"), http.StatusForbidden)
		return
	}
	request, err := exportRequest(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, rs := range request.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans = append(c.spans, exported{s, values(rs.GetResource().GetAttributes())})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func exportRequest(r *http.Request) (*coltracepb.ExportTraceServiceRequest, error) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return nil, errors.New("not an export of traces: " + r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type"))
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			return nil, err
		}
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	request := new(coltracepb.ExportTraceServiceRequest)
	return request, proto.Unmarshal(content, request)
}

func values(attributes []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		all[a.GetKey()] = a.GetValue().GetStringValue()
	}
	return all
}

// tree writes the spans under each other: the trace, then each span's name, kind, some
// of what it says, its events and its status.
func (c *collector) tree() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	spans := slices.Clone(c.spans)
	slices.SortStableFunc(spans, func(a, b exported) int { return cmp.Compare(a.GetStartTimeUnixNano(), b.GetStartTimeUnixNano()) })
	known := map[string]bool{}
	for _, s := range spans {
		known[string(s.GetSpanId())] = true
	}
	var b strings.Builder
	var write func(parent, indent string)
	write = func(parent, indent string) {
		for _, s := range spans {
			under := string(s.GetParentSpanId())
			if known[under] && under != parent || !known[under] && parent != "" {
				continue
			}
			if !known[under] {
				b.WriteString("trace " + hex.EncodeToString(s.GetTraceId()) + " under " + hex.EncodeToString(s.GetParentSpanId()) +
					" by " + s.resource["service.name"] + "\n")
			}
			b.WriteString(indent + "  " + s.GetName())
			said := values(s.GetAttributes())
			for _, name := range []string{"cozeq.verdict", "cozeq.permit", "gen_ai.provider.name", "error.type"} {
				if v := said[name]; v != "" {
					b.WriteString(" " + name + "=" + v)
				}
			}
			for _, e := range s.GetEvents() {
				b.WriteString(" [" + e.GetName() + "]")
			}
			if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
				b.WriteString(" !")
			}
			b.WriteString("\n")
			write(string(s.GetSpanId()), indent+"  ")
		}
	}
	write("", "")
	return b.String()
}

const keyCollector valueKey = "collector"

// cmdCollector starts a collector for $OTEL_EXPORTER_OTLP_ENDPOINT; refuse makes it
// refuse everything.
func cmdCollector(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 || len(args) == 1 && args[0] != "refuse" {
		ts.Fatalf("usage: collector [refuse]")
	}
	c := ts.Value(keyCollector).(*collector)
	c.refuse = len(args) == 1
	server := httptest.NewServer(c)
	ts.Value(keyTB).(testing.TB).Cleanup(server.Close)
	ts.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
}

// cmdSpans writes what the collector has got to a file, and forgets it.
func cmdSpans(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: spans FILE")
	}
	c := ts.Value(keyCollector).(*collector)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(c.tree()), 0o600))
	c.mu.Lock()
	defer c.mu.Unlock()
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".headers"), []byte(strings.Join(c.headers, "\n")+"\n"), 0o600))
	c.spans, c.headers = nil, nil
}
