package gateway

import (
	"net/http"
	"strings"

	"github.com/cozeq/cozeq/internal/openai"
)

// refuse answers in the shape of the API that was called, for what is said before its handlers.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, p *problem) {
	if c := callOf(r.Context()); c.route == "" {
		c.route = "refused"
	}
	if isOpenAI(r) {
		openai.WriteError(w, openAIError(p))
	} else {
		write(w, p)
	}
}

func isOpenAI(r *http.Request) bool {
	return r.URL.Path == "/v1" || strings.HasPrefix(r.URL.Path, "/v1/")
}

func openAIError(p *problem) *openai.Error {
	return &openai.Error{
		Status: p.Status, Code: openAICodes[p.Status], Message: p.Detail,
		Retry: openAIRetries[p.Status], RetryAfter: p.retryAfter,
	}
}

// openAICodes are those of OpenAI's errors by status.
var openAICodes = map[int]string{
	http.StatusBadRequest: "invalid_body", http.StatusUnauthorized: "invalid_api_key",
	http.StatusForbidden: "forbidden_origin", http.StatusNotFound: "unknown_url",
	http.StatusRequestTimeout: "body_timeout", http.StatusRequestEntityTooLarge: "request_too_large",
	http.StatusUnsupportedMediaType: "unsupported_media_type", http.StatusInternalServerError: "internal",
}

// openAIRetries is x-should-retry by status, where OpenAI's SDKs would do something else: they repeat a 5xx. A fault in this
// server may have come behind the question, and would come again.
var openAIRetries = map[int]string{
	http.StatusUnauthorized: "false", http.StatusForbidden: "false", http.StatusInternalServerError: "false",
}
