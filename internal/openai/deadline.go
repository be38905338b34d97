package openai

import (
	"net/http"
	"strconv"
	"time"
)

// unknownTimeout is how long a request without a stream waits if the client does not say how long it reads: just below the
// default of OpenAI's SDKs, 600 s.
const unknownTimeout = 595 * time.Second

// patience is how long to wait for the end of a task before the client is told to come again. The SDKs say in a header when
// they will give up. A client that gives up by itself sends the request again as well, but after a longer pause, and a proxy
// between may have ended the connection in a way that it does not repeat.
func patience(h http.Header) time.Duration {
	for _, name := range []string{"X-Stainless-Read-Timeout", "X-Stainless-Timeout"} {
		seconds, err := strconv.ParseFloat(h.Get(name), 64)
		if err != nil || seconds <= 0 || seconds > (24*time.Hour).Seconds() {
			continue
		}
		timeout := time.Duration(seconds * float64(time.Second))
		return timeout - min(5*time.Second, timeout/4)
	}
	return unknownTimeout
}

// retryCount is which try of its SDK a request is, from 0.
func retryCount(h http.Header) int {
	n, err := strconv.Atoi(h.Get("X-Stainless-Retry-Count"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// errComeAgain answers a request whose task has not ended before the client's patience. It costs nothing: the retry joins
// the task.
func errComeAgain() *Error {
	return &Error{
		Status: http.StatusGatewayTimeout, Code: "timeout", Retry: RetryYes, RetryAfter: time.Second,
		Message: "the answer is not there yet: the same request again waits on, and asks nothing twice",
	}
}
