package submit_test

import (
	"testing"

	"github.com/cozeq/cozeq/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }
