// Package tracing sends the spans of this process to an OpenTelemetry collector where the OTEL_ variables name one. A wrong
// setting is a warning, never an error, and no header's value is logged.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// The variables of OpenTelemetry that decide whether spans are sent. Its SDK and exporter read the others themselves.
const (
	envOTelOff           = "OTEL_SDK_DISABLED"
	envOTelExporter      = "OTEL_TRACES_EXPORTER"
	envOTelEndpoint      = "OTEL_EXPORTER_OTLP_ENDPOINT"
	envOTelTraceEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	envOTelProtocol      = "OTEL_EXPORTER_OTLP_PROTOCOL"
	envOTelTraceProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	envOTelHeaders       = "OTEL_EXPORTER_OTLP_HEADERS"
	envOTelTraceHeaders  = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"

	envTraceParent = "TRACEPARENT"
)

// traceFlush bounds the wait for a collector when the program ends.
const traceFlush = 5 * time.Second

// traces sends the spans of this process. Nil: nothing is traced.
type traces struct{ provider *sdk.TracerProvider }

// Start reads the variables of OpenTelemetry. An error in them is only a warning: many processes share them, and no question
// depends on them.
func Start(ctx context.Context, version string, logger *slog.Logger) *traces {
	on, err := traced(os.Getenv)
	if err != nil {
		logger.Warn("nothing is traced", "err", err)
	}
	if !on {
		return nil
	}
	c := &complaints{logger: logger, secrets: headerValues(os.Getenv(envOTelHeaders), os.Getenv(envOTelTraceHeaders))}
	otel.SetLogger(logr.FromSlogHandler(otelLog{c}))
	otel.SetErrorHandler(c)
	exporter, err := newExporter(ctx)
	if err != nil {
		logger.Warn("nothing is traced", "err", c.clean(err))
		return nil
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("cozeq"), semconv.ServiceVersion(version),
			semconv.ServiceInstanceID(uuid.NewString())),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		logger.Warn("could not collect all resource attributes for traces", "err", c.clean(err))
	}
	return &traces{sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))}
}

// traced reports whether spans are to be sent. With an error they are not.
func traced(env func(string) string) (bool, error) {
	if strings.EqualFold(env(envOTelOff), "true") || env(envOTelEndpoint)+env(envOTelTraceEndpoint) == "" {
		return false, nil
	}
	exporters := strings.Split(strings.ReplaceAll(env(envOTelExporter), " ", ""), ",")
	switch {
	case slices.Equal(exporters, []string{""}), slices.Contains(exporters, "otlp"):
	case slices.Equal(exporters, []string{"none"}):
		return false, nil
	default:
		return false, fmt.Errorf("%s: %q, want otlp or none", envOTelExporter, env(envOTelExporter))
	}
	for _, name := range []string{envOTelEndpoint, envOTelTraceEndpoint} {
		value := env(name)
		if u, err := url.Parse(value); value != "" &&
			(err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https") { // it may hold a password: not repeated
			return false, fmt.Errorf("%s: not a URL of a collector, want one such as http://localhost:4318; what it asks for as a password goes into %s", name, envOTelHeaders)
		}
	}
	for _, name := range []string{envOTelTraceProtocol, envOTelProtocol} {
		switch value := env(name); value {
		case "":
			continue
		case "http/protobuf", "http/json":
		default:
			return false, fmt.Errorf("%s: %q, want http/protobuf or http/json, for which collectors listen on port 4318", name, value)
		}
		break // the other one does not count
	}
	return true, nil
}

// Provider makes spans for this exporter; nil: nothing is traced.
func (t *traces) Provider() trace.TracerProvider {
	if t == nil {
		return nil
	}
	return t.provider
}

func (t *traces) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), traceFlush)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// WithParent puts ctx into the span of the program that started this one, which OpenTelemetry's variable names. Questions
// that are enqueued then belong to that span.
func WithParent(ctx context.Context, env func(string) (string, bool)) context.Context {
	parent, _ := env(envTraceParent)
	if parent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
}
