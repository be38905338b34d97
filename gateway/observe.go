package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// call is what the log and the metrics say of a request. The inner handlers fill it in.
type call struct {
	key    string // the API key's name
	route  string // the pattern, so that metrics have few values
	status int
	bytes  int64
	waited time.Duration // for a task to end, as the caller asked
}

// wait notes the time until what it returns is called.
func (c *call) wait() (done func()) {
	began := time.Now()
	return func() { c.waited += time.Since(began) }
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

const requestIDHeader = "X-Request-Id"

var requestID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// observe is the outermost handler: request id, trace, access log, metrics, and an answer instead of a panic.
func (g *Gateway) observe(next http.Handler) http.Handler {
	provider := g.TracerProvider
	if provider == nil {
		provider = noop.NewTracerProvider()
	}
	silent := noop.NewTracerProvider().Tracer("")
	spoken, w3c := provider.Tracer("github.com/cozeq/cozeq/gateway"), propagation.TraceContext{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, c := time.Now(), &call{}
		id := r.Header.Get(requestIDHeader)
		if !requestID.MatchString(id) {
			id = uuid.NewString()
		}
		w.Header().Set(requestIDHeader, id)
		ctx := w3c.Extract(context.WithValue(r.Context(), callKey{}, c), propagation.HeaderCarrier(r.Header))
		tracer, probe := spoken, slices.Contains(probes, r.URL.Path)
		if probe {
			tracer = silent
		}
		ctx, span := tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
		w3c.Inject(ctx, propagation.HeaderCarrier(w.Header()))
		g.metrics.inFlight.Inc()
		defer func() {
			g.metrics.inFlight.Dec()
			switch died := recover(); died {
			case nil:
			case http.ErrAbortHandler: // net/http's way to break off an answer
				defer panic(died)
			default:
				g.Logger.Error("a request failed inside", "fault", died, "request", id, "stack", string(debug.Stack()))
				if c.status == 0 {
					g.refuse(&recorder{w, c, began}, r, fault(http.StatusInternalServerError, "a fault in this server, see its log for request %s", id))
				}
			}
			took := time.Since(began)
			span.SetName(c.route)
			span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.route", c.route), attribute.Int("http.response.status_code", c.status))
			if c.status >= 500 {
				span.SetStatus(codes.Error, http.StatusText(c.status))
			}
			span.End()
			g.metrics.observe(c, took)
			g.Logger.LogAttrs(ctx, level(c.status, probe), "request", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", c.status),
				slog.Int64("bytes", c.bytes), slog.Duration("took", took), slog.String("key", c.key), slog.String("request", id), slog.String("client", r.RemoteAddr))
		}()
		next.ServeHTTP(&recorder{w, c, began}, r.WithContext(ctx))
	})
}

// probes come every few seconds.
var probes = []string{"/healthz", "/readyz", "/metrics"}

// level keeps what works out of a log of warnings, and probes that succeed out of one of requests.
func level(status int, probe bool) slog.Level {
	switch {
	case status >= 500:
		return slog.LevelWarn
	case probe:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// recorder notes what is sent. It adds Server-Timing: the time until the answer begins.
type recorder struct {
	http.ResponseWriter
	call  *call
	began time.Time
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.call.status == 0 {
		w.call.status = status
		w.Header().Set("Server-Timing", fmt.Sprintf("app;dur=%.1f", float64(time.Since(w.began).Microseconds())/1000))
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.call.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.call.bytes += int64(n)
	return n, err
}
