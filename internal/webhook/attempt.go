package webhook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// outcome is what became of a try, by the names that the metrics have for it.
type outcome string

const (
	delivered   outcome = "delivered"
	refused     outcome = "refused"     // a status that is no success
	gone        outcome = "gone"        // 410: the receiver wants no more of it
	timedOut    outcome = "timeout"     // no answer in time
	unreachable outcome = "unreachable" // no name, no connection, no TLS
	blockedAddr outcome = "blocked"     // an address that deliveries may not go to
	unsigned    outcome = "unsigned"    // its secret is not in the file any more
)

var outcomes = []outcome{delivered, refused, gone, timedOut, unreachable, blockedAddr, unsigned}

// attempt is one try of a delivery.
type attempt struct {
	outcome    outcome
	why        string        // of a failure, without the URL's query
	throttled  bool          // the receiver asks for fewer requests
	retryAfter time.Duration // what the receiver asks for, 0 = nothing
}

func failed(ctx context.Context, err error) attempt {
	if b, ok := errors.AsType[*BlockedError](err); ok {
		return attempt{outcome: blockedAddr, why: b.Error()}
	}
	if ctx.Err() != nil {
		return attempt{outcome: timedOut, why: context.Cause(ctx).Error()}
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() { // of the connection
		return attempt{outcome: timedOut, why: err.Error()}
	}
	return attempt{outcome: unreachable, why: err.Error()}
}

func judge(resp *http.Response, now time.Time) attempt {
	code := resp.StatusCode
	a := attempt{outcome: refused, why: "the receiver answered " + strconv.Itoa(code) + " " + http.StatusText(code)}
	switch {
	case code >= 200 && code < 300:
		return attempt{outcome: delivered}
	case code >= 300 && code < 400:
		a.why += ": redirects are not followed, set the URL that it leads to"
	case code == http.StatusGone:
		a.outcome = gone
	case code == http.StatusTooManyRequests, code == http.StatusBadGateway,
		code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout:
		a.throttled = true
	}
	a.retryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	return a
}

// retryAfter reads seconds or a date; 0 where there is neither.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(value); err == nil {
		return min(max(0, time.Duration(n)), maxRetryAfter/time.Second) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(0, at.Sub(now)), maxRetryAfter)
	}
	return 0
}
