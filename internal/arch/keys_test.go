package arch

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// keyName is a name in Redis as Go writes one: a whole string, or the part before an id.
var keyName = regexp.MustCompile(`"(cozeq:(?:[a-z]+|[a-z]+:\{?))"`)

// keys wants the names of keys and channels in internal/rediskey alone, and each of them in docs/contract.md. The type of a
// webhook's task has a name of the same form.
func keys(files []file) (faults []string) {
	var contract string
	for _, f := range files {
		if f.path == "docs/contract.md" {
			contract = string(f.data)
		}
	}
	for _, f := range files {
		if f.pkg == "" || f.test || f.dir == "internal/tasktest" {
			continue
		}
		for _, name := range keyName.FindAllStringSubmatch(string(f.data), -1) {
			switch key := name[1]; {
			case key == "cozeq:webhook":
			case f.dir != "internal/rediskey":
				faults = append(faults, fmt.Sprintf("%s: the key %s is named here; name it in internal/rediskey", f.path, key))
			case !strings.Contains(contract, "`"+key):
				faults = append(faults, fmt.Sprintf("%s: docs/contract.md does not list the key %s", f.path, key))
			}
		}
	}
	return faults
}

func TestKeys(t *testing.T) {
	obeyed(t, keys, map[string]string{
		"worker/a.go":            `package worker; func key(id string) string { return "cozeq:beat:{" + id + "}" }`,
		"results/a.go":           `package results; const done = "cozeq:done:"`,
		"internal/rediskey/a.go": `package rediskey; const other = "cozeq:other"`,
	})
}
