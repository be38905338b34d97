package redistest

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

// go-redis' own log tells of every server that a test has stopped. Thousands of such lines hide what failed.
func init() { logging.Disable() }

// Main runs the tests of a package and wants no goroutine left.
func Main(m *testing.M) { goleak.VerifyTestMain(m) }
