package cozetest_test

import (
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/nodetest"
)

// TestJavaScriptSDK lets Coze's official JavaScript SDK judge the fake: a client
// written by those who run the real server. It is skipped where node or the npm
// registry is out of reach, unless COZEQ_REQUIRE_NPM=1.
func TestJavaScriptSDK(t *testing.T) {
	project := nodetest.Install(t, "testdata/jssdk")
	srv := cozetest.New(t, func(c *cozetest.Config) {
		c.Tokens = []string{"pat_cozetest"}
		c.DeltaPace = time.Millisecond
	})
	project.Run(t, 12, "COZE_API_BASE="+srv.URL, "COZE_API_TOKEN=pat_cozetest")
	if got := srv.ByQuestion("1+1 是多少？🙂"); got != 1 {
		t.Errorf("the question arrived %d times, want once", got)
	}
}
