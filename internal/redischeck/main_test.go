package redischeck_test

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable() // servers that are not there are what some tests are about
	goleak.VerifyTestMain(m)
}
