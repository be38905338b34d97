package webhook_test

import (
	"os"
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable() // broken connections are what some tests are about
	if url := os.Getenv(childEnv); url != "" {
		child(url)
		return
	}
	goleak.VerifyTestMain(m)
}
