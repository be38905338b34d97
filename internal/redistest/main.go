package redistest

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

// Main runs the tests of a package without go-redis' own log, which tells of every server that a test has stopped, and
// wants no goroutine left.
func Main(m *testing.M) {
	logging.Disable()
	goleak.VerifyTestMain(m)
}
