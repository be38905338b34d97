package arch

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// luaInGo are the directories that may have Lua in Go strings: internal/embeddedredis runs Lua, internal/tasktest is for tests.
var luaInGo = []string{"internal/embeddedredis", "internal/tasktest"}

// scripts wants no Lua in Go files outside tests, and in each .lua file a head: what it does, KEYS, ARGV, Reply, and the
// invariant that it keeps or the race that it settles. Code that is put before other scripts says so instead.
func scripts(files []file) (faults []string) {
	for _, f := range files {
		if slices.Contains(luaInGo, f.dir) {
			continue
		}
		if f.pkg != "" && !f.test && bytes.Contains(f.data, []byte("redis.call(")) {
			faults = append(faults, fmt.Sprintf("%s: a Lua script in a Go file; make it a .lua file and embed it", f.path))
		}
		if path.Ext(f.path) != ".lua" {
			continue
		}
		head, _, _ := strings.Cut(string(f.data), "\n\n")
		if strings.HasPrefix(head, "-- Shared code of ") {
			continue
		}
		if !strings.Contains(head, "-- KEYS:") || !strings.Contains(head, "-- Reply:") ||
			bytes.Contains(f.data, []byte("ARGV[")) && !strings.Contains(head, "-- ARGV:") {
			faults = append(faults, fmt.Sprintf("%s: its head does not list KEYS, ARGV and Reply", f.path))
		} else if !strings.Contains(head, "Invariant: ") && !strings.Contains(head, "Race: ") {
			faults = append(faults, fmt.Sprintf("%s: its head names no invariant or race", f.path))
		}
	}
	return faults
}

func TestScripts(t *testing.T) {
	obeyed(t, scripts, map[string]string{
		"tasks/a.go":          "package tasks\n\nconst s = `return redis.call('GET', KEYS[1])`",
		"worker/a.go":         "package worker\n\nconst s = `return redis.call('GET', KEYS[1])`",
		"internal/lane/a.lua": "-- Does something.\n\nreturn redis.call('GET', KEYS[1])",
	})
}
