// Package childenv makes the environment of commands that users name: tools of bots, and what takes records.
package childenv

import (
	"os"
	"strings"
)

// Of is the environment of this process without our settings, and without those of traces: they hold tokens and passwords, or
// name files that do.
func Of() []string {
	var kept []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		name = strings.ToUpper(name)
		if !strings.HasPrefix(name, "COZE") && !strings.HasPrefix(name, "OTEL_") && name != "REDIS_URL" {
			kept = append(kept, pair)
		}
	}
	return kept
}
