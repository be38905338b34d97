package openai_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/nodetest"
)

// TestNodeClients lets clients that people use judge the API: openai, @ai-sdk/openai-compatible, @langchain/openai. It is
// skipped where node or the npm registry is out of reach, unless COZEQ_REQUIRE_NPM=1.
func TestNodeClients(t *testing.T) {
	project := nodetest.Install(t, "testdata/node")
	s := embedded(t, options{mock: cozetest.Config{Answer: echo}})
	_, second := s.serve(options{})
	_, cutting := s.serve(options{wrap: cutFirst})
	project.Run(t, 15, "BASE_URL="+s.url+"/v1", "SECOND_URL="+second+"/v1", "CUTTING_URL="+cutting+"/v1", "AI_SDK_LOG_WARNINGS=false")
	for _, question := range []string{"cut once", "slow once [[mock:pace=600ms]]", "a longer question 长一点 [[mock:pace=150ms]]"} {
		if n := s.mock.ByQuestion(question); n != 1 {
			t.Errorf("%q was asked %d times, want once", question, n)
		}
	}
}

// cutFirst does all the work of the first try and cuts the connection in place of the reply.
func cutFirst(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Stainless-Retry-Count") != "0" {
			h.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
}
