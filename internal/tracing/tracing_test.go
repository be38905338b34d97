package tracing

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTraced decides by the variables of OpenTelemetry.
func TestTraced(t *testing.T) {
	t.Parallel()
	const endpoint = "http://localhost:4318"
	for name, c := range map[string]struct {
		env  map[string]string
		on   bool
		fail string // a pattern of the error
	}{
		"nothing set":          {nil, false, ""},
		"endpoint":             {map[string]string{envOTelEndpoint: endpoint}, true, ""},
		"of traces alone":      {map[string]string{envOTelTraceEndpoint: "https://collector.example/otlp/v1/traces"}, true, ""},
		"of other signals":     {map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": endpoint}, false, ""},
		"off":                  {map[string]string{envOTelEndpoint: endpoint, envOTelOff: "TRUE"}, false, ""},
		"off, said twice":      {map[string]string{envOTelEndpoint: "nonsense", envOTelOff: "true"}, false, ""},
		"no exporter":          {map[string]string{envOTelEndpoint: endpoint, envOTelExporter: "none"}, false, ""},
		"exporters":            {map[string]string{envOTelEndpoint: endpoint, envOTelExporter: "console, otlp"}, true, ""},
		"another exporter":     {map[string]string{envOTelEndpoint: endpoint, envOTelExporter: "zipkin"}, false, `^OTEL_TRACES_EXPORTER: "zipkin", want otlp or none$`},
		"gRPC":                 {map[string]string{envOTelEndpoint: endpoint, envOTelProtocol: "grpc"}, false, `^OTEL_EXPORTER_OTLP_PROTOCOL: "grpc", want http/protobuf or http/json, .*4318$`},
		"gRPC, but not traces": {map[string]string{envOTelEndpoint: endpoint, envOTelProtocol: "grpc", envOTelTraceProtocol: "http/json"}, true, ""},
		"gRPC for traces":      {map[string]string{envOTelEndpoint: endpoint, envOTelTraceProtocol: "grpc"}, false, `^OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: `},
		"no scheme":            {map[string]string{envOTelEndpoint: "localhost:4318"}, false, `^OTEL_EXPORTER_OTLP_ENDPOINT: not a URL of a collector, want one such as http://localhost:4318; `},
		"a password":           {map[string]string{envOTelTraceEndpoint: "http://me:geheim@localhost:4318"}, false, `^OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: not a URL .*OTEL_EXPORTER_OTLP_HEADERS$`},
		"no URL":               {map[string]string{envOTelEndpoint: "http://geheim:%zz"}, false, `not a URL`},
	} {
		t.Run(name, func(t *testing.T) {
			on, err := traced(func(name string) string { return c.env[name] })
			if on != c.on || (err != nil) != (c.fail != "") {
				t.Fatalf("got %v, %v", on, err)
			}
			if err != nil && (!regexp.MustCompile(c.fail).MatchString(err.Error()) || strings.Contains(err.Error(), "geheim")) {
				t.Errorf("got %q, want %q", err, c.fail)
			}
		})
	}
}

// TestHeaderValues finds what must not be said.
func TestHeaderValues(t *testing.T) {
	t.Parallel()
	c := &complaints{secrets: headerValues("Authorization=Bearer%20geheimnis,x-team=a,X-Key = key4711", "forgotten-the-name", "")}
	for text, want := range map[string]string{
		"sent Bearer geheimnis":              "sent [redacted]",
		"sent geheimnis":                     "sent [redacted]",
		"sent Bearer%20geheimnis":            "sent [redacted]",
		"key4711 is no key":                  "[redacted] is no key",
		"what is forgotten-the-name?":        "what is [redacted]?",
		"a team":                             "a team",
		strings.Repeat("long ", 200) + "end": strings.Repeat("long ", 100) + "...",
	} {
		if got := c.clean(errors.New(text)); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// TestComplaints are said once a minute, and counted.
func TestComplaints(t *testing.T) {
	t.Parallel()
	var l complaintLimit
	now := time.Now()
	for _, c := range []struct {
		after  time.Duration
		ok     bool
		unsaid int
	}{{0, true, 0}, {time.Second, false, 0}, {59 * time.Second, false, 0}, {time.Minute, true, 2}, {90 * time.Second, false, 0}, {5 * time.Minute, true, 1}} {
		if unsaid, ok := l.allow(now.Add(c.after)); ok != c.ok || unsaid != c.unsaid {
			t.Errorf("after %v: %v, %d unsaid, want %v, %d", c.after, ok, unsaid, c.ok, c.unsaid)
		}
	}
}

// FuzzHeaderValues hides any value that a header is sent with.
func FuzzHeaderValues(f *testing.F) {
	f.Add("Authorization=Bearer%20secret", "no: Bearer secret")
	f.Add("a=b,c", "")
	f.Add("=%zz,", "%zz")
	f.Fuzz(func(t *testing.T, headers, text string) {
		secrets := headerValues(headers)
		if slices.Contains(secrets, "") {
			t.Fatalf("%q hides every place between two letters", headers)
		}
		(&complaints{secrets: secrets}).clean(errors.New(text))
	})
}
