package asynqx

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable() // tests that look at no log do not fill it
	goleak.VerifyTestMain(m)
}
