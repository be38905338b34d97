package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// problem is an error as RFC 9457 has it.
type problem struct {
	Title  string              `json:"title" doc:"the status in words"`
	Status int                 `json:"status" doc:"the HTTP status"`
	Detail string              `json:"detail" doc:"what is wrong, and what to do"`
	Errors []*huma.ErrorDetail `json:"errors,omitempty" doc:"every field that is wrong"`

	retryAfter time.Duration
}

func (p *problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *problem) ContentType(string) string { return problemType }

// GetHeaders implements huma.HeadersError.
func (p *problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", retryAfter(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="cozeq"`)
	}
	return h
}

const problemType = "application/problem+json"

// retryAfter is whole seconds, at least one.
func retryAfter(d time.Duration) string { return strconv.Itoa(int(max(1, math.Ceil(d.Seconds())))) }

func fault(status int, format string, args ...any) *problem {
	return &problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// problemOf is the one place that turns an error into a status.
func problemOf(err error) *problem {
	var (
		own         *problem
		invalid     *tasks.InvalidError
		conflict    *submit.ConflictError
		unavailable *submit.UnavailableError
		forbidden   *apikey.ForbiddenError
		limited     *apikey.LimitError
	)
	if errors.As(err, &own) {
		return own
	}
	err = submit.Unavailable(err)
	switch {
	case errors.As(err, &invalid):
		p := fault(http.StatusUnprocessableEntity, "%s", invalid)
		p.Errors = []*huma.ErrorDetail{{Message: invalid.Reason, Location: "body." + invalid.Field}}
		return p
	case errors.As(err, &conflict):
		return fault(http.StatusConflict, "%s", conflict)
	case errors.As(err, &forbidden):
		return fault(http.StatusForbidden, "%s", forbidden)
	case errors.As(err, &limited):
		p := fault(http.StatusTooManyRequests, "%s", limited)
		p.retryAfter = limited.RetryAfter
		return p
	case errors.As(err, &unavailable):
		p := fault(http.StatusServiceUnavailable, "%s", unavailable)
		p.retryAfter = unavailable.RetryAfter
		return p
	case errors.Is(err, results.ErrNotFound):
		return fault(http.StatusNotFound, "%s", err)
	case errors.Is(err, context.Canceled):
		return fault(statusClientClosed, "the client has hung up")
	}
	return fault(http.StatusInternalServerError, "%s", err)
}

// statusClientClosed is nginx's status for a client that did not wait. Only the log sees it.
const statusClientClosed = 499

func write(w http.ResponseWriter, p *problem) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
