package exitcode_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/exitcode"
)

// TestManual wants a row for each exit code in docs/settings.md, in each language.
func TestManual(t *testing.T) {
	t.Parallel()
	codes := []int{exitcode.OK, exitcode.Failed, exitcode.Usage, exitcode.SomeFailed, exitcode.Stopped, exitcode.Interrupted}
	for _, page := range []string{"../../docs/settings.md", "../../docs/settings.zh-CN.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range codes {
			if !strings.Contains(string(text), fmt.Sprintf("\n| %d | ", code)) {
				t.Errorf("%s does not explain exit code %d", page, code)
			}
		}
	}
}
