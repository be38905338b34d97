package arch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Third parties by the name that the table gives them.
var thirdParties = map[string]string{
	"asynq":      "github.com/hibiken/asynq",
	"redis":      "github.com/redis/go-redis/v9",
	"uuid":       "github.com/google/uuid",
	"prometheus": "github.com/prometheus/client_golang",
	"miniredis":  "github.com/alicebob/miniredis/v2",
	"gopher-lua": "github.com/yuin/gopher-lua",
	"x/sys":      "golang.org/x/sys",
	"x/text":     "golang.org/x/text",
	"excelize":   "github.com/xuri/excelize/v2",
	"protowire":  "google.golang.org/protobuf/encoding/protowire",
	"jwt":        "github.com/golang-jwt/jwt/v5",
	"asynqmon":   "github.com/hibiken/asynqmon",
	"pflag":      "github.com/spf13/pflag",

	// Of parquet-go the metadata alone: see internal/parquet.
	"parquet/format":     "github.com/parquet-go/parquet-go/format",
	"parquet/thrift":     "github.com/parquet-go/parquet-go/encoding/thrift",
	"parquet/deprecated": "github.com/parquet-go/parquet-go/deprecated",

	"goleak": "go.uber.org/goleak",
	"huma":   "github.com/danielgtaylor/huma/v2",
	"humago": "github.com/danielgtaylor/huma/v2/adapters/humago",

	// Of OpenTelemetry the API alone: which SDK there is, and where spans go, is the program's affair.
	"otel/attribute":   "go.opentelemetry.io/otel/attribute",
	"otel/codes":       "go.opentelemetry.io/otel/codes",
	"otel/propagation": "go.opentelemetry.io/otel/propagation",
	"otel/semconv":     "go.opentelemetry.io/otel/semconv",
	"otel/trace":       "go.opentelemetry.io/otel/trace",
	"otel/noop":        "go.opentelemetry.io/otel/trace/noop",
}

// edges is what a package may import besides the standard library: packages of ours by their directory, third parties
// by their name above, "*" for any third party. A package that is not here may not exist: a new one gets a row, and
// its author a moment to think about where it stands.
var edges = map[string][]string{
	// The leaves. They do not know each other, but that asking needs a place for the answer: before a task is enqueued
	// its record says "queued".
	"coze":          {"internal/textfile"},
	"coze/cozetest": {"coze"},
	"coze/oauth":    {"coze", "internal/textfile", "jwt"}, // apart from coze, so that who has a plain token links no JWT
	"results":       {"internal/rediskey", "internal/seal", "internal/subscription", "internal/textfile", "redis"},
	"tasks":         {"results", "internal/record", "internal/seal", "internal/watch", "internal/lane", "internal/queue", "uuid", "otel/trace", "otel/propagation"},
	"tasks/batches": {"internal/rediskey", "tasks", "results", "internal/record", "internal/asynqx", "internal/queue", "internal/tally", "redis"},

	// What tasks, batches and worker share of the queue.
	"internal/conversation": {"internal/rediskey", "results", "redis"},
	"internal/asynqx":       {"internal/rediskey", "internal/redisscript", "asynq", "redis", "protowire"}, // alone knows asynq's keys and scripts
	"internal/lane":         {"internal/rediskey", "results", "internal/asynqx", "internal/redisscript", "asynq", "redis"},
	"internal/tally":        {"internal/rediskey", "results", "internal/redisscript", "redis"},
	"internal/record":       {"internal/rediskey", "internal/seal", "results", "internal/redisscript", "redis"},
	"internal/queue":        {"results", "internal/record", "internal/asynqx", "internal/lane", "internal/tally", "internal/redisscript", "asynq", "redis"},

	// The only place where the three meet.
	"worker": {"internal/rediskey", "internal/asynqx", "internal/ratelimit", "internal/pause", "internal/recovery", "internal/conversation", "internal/lane", "internal/queue", "internal/tally", "tasks", "coze", "results", "internal/record", "internal/seal", "internal/backoff", "internal/telemetry", "asynq", "redis", "prometheus", "uuid",
		"otel/trace"},
	"internal/telemetry": {"coze", "results", "internal/asynqx", "internal/ratelimit", "internal/pause", "asynq", "redis", "prometheus",
		"otel/attribute", "otel/codes", "otel/propagation", "otel/semconv", "otel/trace"},

	// The HTTP API. It needs no worker: a process may serve without asking.
	"internal/webhook":     {"tasks", "tasks/batches", "results", "internal/asynqx", "internal/backoff", "internal/textfile", "asynq", "prometheus"},
	"internal/toolwebhook": {"internal/webhook", "results", "tasks", "worker"}, // a worker needs no webhooks, and they need no worker
	"internal/submit":      {"internal/rediskey", "tasks", "results", "internal/apikey", "internal/asynqx", "internal/pause", "redis", "uuid"},
	"gateway": {"coze", "internal/attachment", "tasks", "tasks/batches", "results", "internal/batchfile", "internal/input", "internal/upload", "internal/usage", "internal/apikey", "internal/asynqx", "internal/deadletter", "internal/flags", "internal/pause", "internal/queuestate", "internal/sse",
		"internal/loopback", "internal/messages", "internal/openai", "internal/openaibatch", "internal/submit", "internal/watch", "internal/webhook", "huma", "humago", "uuid", "prometheus",
		"otel/attribute", "otel/codes", "otel/propagation", "otel/trace", "otel/noop"},

	// Rooms beside it.
	"internal/backoff":  {},
	"internal/loopback": {},

	// The circuit breaker, and the rate limiter whose permits respect it.
	"internal/pause":     {"internal/rediskey", "coze", "internal/asynqx", "internal/redisscript", "asynq", "redis"},
	"internal/ratelimit": {"internal/rediskey", "coze", "internal/backoff", "internal/pause", "internal/redisscript", "redis"},

	// The sweep of all workers.
	"internal/recovery": {"internal/rediskey", "coze", "results", "internal/asynqx", "internal/backoff", "internal/lane", "internal/pause", "internal/redisscript",
		"internal/record", "internal/tally", "redis"},

	// Who may ask over HTTP.
	"internal/apikey": {"internal/rediskey", "tasks/batches", "tasks", "results", "internal/jsonobject", "internal/redisscript", "internal/textfile", "internal/usage", "redis"},

	// Files of questions and answers. They reach the queue through tasks and results, so they need neither asynq nor redis.
	// What reads and writes files knows no run, a journal and a cache know only what they keep, and filerun and batchfile,
	// the two ways to ask a file, do not know each other.
	"internal/usage":       {},
	"internal/openai":      {"internal/rediskey", "coze", "internal/attachment", "tasks", "results", "internal/apikey", "internal/messages", "internal/pause", "internal/sse", "internal/submit", "internal/usage", "internal/watch", "redis", "uuid"},
	"internal/messages":    {"coze", "tasks"}, // files of questions and the HTTP API read OpenAI's messages alike
	"internal/input":       {"coze", "tasks", "internal/charset", "internal/messages", "internal/parameter", "internal/parquet", "internal/spreadsheet", "internal/usage"},
	"internal/output":      {"results", "internal/input", "internal/messages", "internal/parquet", "internal/spreadsheet", "internal/usage"},
	"internal/sink":        {"internal/backoff", "internal/command"},
	"internal/command":     {},
	"internal/parquet":     {"parquet/format", "parquet/thrift", "parquet/deprecated"},
	"internal/journal":     {"tasks/batches", "tasks", "results", "internal/input", "internal/usage"},
	"internal/answercache": {"tasks", "results", "internal/usage"},
	"internal/progress":    {"results"},
	"internal/redisretry":  {"tasks/batches", "tasks", "internal/backoff"},
	"internal/deadletter":  {"coze", "results", "tasks", "internal/flags", "internal/asynqx", "internal/record", "asynq", "redis"},
	"internal/attachment":  {"internal/rediskey", "coze", "results", "internal/backoff", "internal/ratelimit", "internal/pause", "redis"},
	"internal/runbatch":    {"tasks/batches", "tasks", "results", "internal/tally", "redis"},
	"internal/filerun": {"internal/sink", "internal/runbatch", "coze", "internal/attachment", "internal/conversation", "internal/tally", "tasks/batches", "tasks", "results", "internal/answercache", "internal/input", "internal/journal", "internal/output",
		"internal/progress", "internal/redisretry", "internal/spreadsheet"},
	"internal/batchfile": {"internal/attachment", "tasks/batches", "tasks", "results", "internal/input", "internal/output", "internal/progress", "internal/redisretry",
		"internal/spreadsheet", "internal/usage"},

	// Files that come over HTTP.
	"internal/upload": {},
	"internal/openaibatch": {"tasks/batches", "tasks", "results", "internal/apikey", "internal/batchfile", "internal/filestore", "internal/flags", "internal/input",
		"internal/openai", "internal/submit", "internal/upload", "internal/usage"},
	"internal/filestore": {"internal/rediskey", "results", "internal/redisscript", "redis", "uuid"},

	"internal/filetest": {"internal/conversation", "internal/lane", "internal/tally", "tasks", "results", "internal/record", "internal/filerun", "internal/input", "internal/redistest", "asynq", "redis", "excelize", "x/text"}, // for tests only

	"internal/charset":       {"x/text"},
	"internal/spreadsheet":   {"excelize"},
	"internal/embeddedredis": {"miniredis", "gopher-lua", "redis"},
	"internal/redisscript":   {"redis"},
	"internal/rediskey":      {},
	"internal/sse":           {},
	"internal/textfile":      {},
	"internal/seal":          {},
	"internal/jsonobject":    {},
	"internal/flags":         {"pflag"},
	"internal/dashboard":     {"tasks", "results", "internal/loopback", "internal/seal", "asynq", "asynqmon", "redis"},
	"internal/redischeck":    {"internal/rediskey", "redis"},
	"internal/redistest":     {"internal/awaittest", "internal/embeddedredis", "goleak", "redis", "x/sys"},
	"internal/nodetest":      {},
	"internal/awaittest":     {},
	"internal/workertest":    {"coze", "internal/asynqx", "internal/awaittest", "tasks", "worker", "redis"},
	"internal/tasktest":      {"tasks/batches", "internal/tally", "tasks", "results", "internal/record", "internal/lane", "internal/embeddedredis", "internal/redistest", "asynq", "redis"},
	"internal/arch":          {},

	// What happens to tasks, for many listeners over one connection.
	"internal/subscription": {"redis"},
	"internal/watch":        {"results", "internal/record", "internal/subscription", "internal/backoff", "redis"},

	// Rooms of the command line, from the bottom up. No command is imported by any of them.
	"internal/terminal":    {"internal/flags", "*"},
	"internal/misuse":      {"internal/flags", "internal/usage", "*"},
	"internal/remoteredis": {"redis", "internal/backoff", "internal/redischeck", "internal/textfile"},
	"internal/exitcode": {"coze", "results", "tasks", "internal/input", "internal/journal", "internal/misuse",
		"internal/remoteredis", "internal/terminal", "internal/usage"},
	"internal/settings": {"coze", "coze/oauth", "results", "tasks", "worker", "redis", "internal/apikey", "internal/exitcode",
		"internal/flags", "internal/input", "internal/jsonobject", "internal/misuse", "internal/remoteredis", "internal/terminal",
		"internal/textfile", "internal/webhook", "*"},
	"internal/tracing": {"uuid", "*"},
	"internal/session": {"tasks/batches", "results", "tasks", "worker", "asynq", "redis", "internal/asynqx", "internal/attachment", "internal/exitcode", "internal/flags",
		"internal/embeddedredis", "internal/misuse", "internal/redischeck", "internal/remoteredis", "internal/settings",
		"internal/telemetry", "internal/terminal", "internal/command", "internal/toolwebhook", "internal/tracing", "*"},
	"internal/httpserver": {"coze/oauth", "worker", "internal/exitcode", "internal/dashboard", "internal/session",
		"internal/settings", "*"},
	"internal/mockserver": {"coze/cozetest", "internal/exitcode", "internal/httpserver"},
	"internal/panel":      {"results", "worker", "internal/input", "internal/progress", "internal/terminal"},
	"internal/queuestate": {"internal/asynqx", "internal/ratelimit", "internal/pause", "internal/recovery", "asynq", "redis", "internal/terminal"},
	"internal/pausewatch": {"coze", "tasks", "worker", "redis", "internal/exitcode", "internal/flags",
		"internal/misuse", "internal/progress", "internal/session", "internal/terminal", "*"},

	// Commands, a package each. They do not know each other.
	"internal/cli/errorcodes": {"coze", "internal/misuse", "internal/settings", "internal/terminal", "*"},
	"internal/cli/mock": {"coze/cozetest", "internal/flags", "internal/misuse", "internal/mockserver",
		"internal/settings", "internal/terminal", "internal/textfile", "*"},
	"internal/cli/dashboard": {"internal/misuse", "internal/dashboard", "internal/session", "internal/settings",
		"internal/httpserver", "internal/terminal", "*"},
	"internal/cli/health": {"internal/misuse", "internal/settings", "internal/terminal", "*"},
	"internal/cli/help":   {"pflag", "internal/flags", "internal/misuse", "internal/settings", "internal/terminal", "*"},
	"internal/parameter":  {},
	"internal/cli/ask": {"internal/parameter", "internal/input", "coze", "results", "tasks", "worker", "uuid", "internal/attachment", "internal/exitcode", "internal/flags",
		"internal/input", "internal/messages", "internal/misuse", "internal/panel", "internal/pausewatch", "internal/progress",
		"internal/session", "internal/settings", "internal/httpserver", "internal/terminal", "*"},
	"internal/cli/cancel": {"results", "tasks", "internal/misuse", "internal/session", "internal/settings",
		"internal/terminal", "*"},
	"internal/cli/failed": {"results", "tasks", "internal/deadletter", "internal/exitcode", "internal/flags", "internal/misuse", "internal/session", "internal/settings", "internal/terminal", "*"},
	"internal/cli/queues": {"tasks", "worker", "asynq", "internal/exitcode", "internal/misuse",
		"internal/pausewatch", "internal/queuestate", "internal/session", "internal/settings", "internal/terminal", "*"},
	"internal/cli/result": {"results", "tasks", "internal/exitcode", "internal/flags", "internal/misuse",
		"internal/panel", "internal/session", "internal/settings", "internal/terminal", "*"},
	"internal/cli/run": {"internal/command", "internal/sink", "coze", "coze/cozetest", "tasks", "worker", "internal/answercache", "internal/attachment", "internal/conversation",
		"internal/exitcode", "internal/filerun", "internal/runbatch", "internal/flags", "internal/input", "internal/journal", "internal/lane",
		"internal/misuse", "internal/mockserver", "internal/output", "internal/panel", "internal/pausewatch",
		"internal/progress", "internal/session", "internal/settings", "internal/httpserver", "internal/terminal", "*"},
	"internal/cli/worker": {"results", "worker", "internal/flags", "internal/misuse", "internal/session",
		"internal/settings", "internal/httpserver", "internal/terminal", "*"},
	"internal/cli/serve": {"coze", "coze/cozetest", "gateway", "tasks", "worker", "internal/flags", "internal/attachment", "internal/exitcode", "internal/misuse", "internal/openaibatch", "internal/mockserver", "internal/session",
		"internal/settings", "internal/httpserver", "internal/terminal", "*"},
	"internal/cli/doctor": {"coze", "coze/oauth", "results", "worker", "asynq", "redis", "internal/apikey", "internal/asynqx", "internal/exitcode", "internal/misuse",
		"internal/pausewatch", "internal/queuestate", "internal/redischeck", "internal/remoteredis",
		"internal/settings", "internal/httpserver", "internal/terminal", "*"},
	"internal/cli/batch": {"internal/command", "internal/sink", "coze", "internal/attachment", "results", "tasks", "tasks/batches", "worker", "internal/batchfile",
		"internal/exitcode", "internal/flags", "internal/input", "internal/misuse", "internal/output", "internal/panel",
		"internal/pausewatch", "internal/progress", "internal/queuestate", "internal/session", "internal/settings",
		"internal/terminal", "internal/usage", "*"},

	// The root command gathers them, and the program starts it.
	"internal/cli": {"asynq", "coze", "worker", "internal/cli/ask", "internal/cli/batch", "internal/cli/cancel",
		"internal/cli/dashboard", "internal/cli/doctor", "internal/cli/errorcodes", "internal/cli/health",
		"internal/cli/failed", "internal/cli/help", "internal/cli/mock", "internal/cli/queues", "internal/cli/result", "internal/cli/run", "internal/cli/serve",
		"internal/cli/worker", "internal/exitcode", "internal/flags", "internal/misuse", "internal/session",
		"internal/settings", "internal/terminal", "internal/tracing", "*"},
	"cmd/cozeq": {"internal/cli"},
}

func imports(files []file) (faults []string) {
	for _, f := range files {
		if f.pkg == "" || f.test {
			continue // tests may look around
		}
		allowed, known := edges[f.dir]
		if !known {
			faults = append(faults, fmt.Sprintf("%s: package %s has no row in the table of imports; give it one", f.path, f.dir))
			continue
		}
		for _, name := range f.imports {
			to, ours := target(name)
			if to == "" || slices.Contains(allowed, to) {
				continue
			}
			if !ours && slices.Contains(allowed, "*") {
				continue
			}
			faults = append(faults, fmt.Sprintf("%s: %s may not import %s; it may import %s",
				f.path, f.dir, name, strings.Join(append([]string{"the standard library"}, allowed...), ", ")))
		}
	}
	return faults
}

// target names what an import path leads to as the table does, "" for the standard library.
func target(name string) (to string, ours bool) {
	if dir, ok := strings.CutPrefix(name, module+"/"); ok {
		return dir, true
	}
	if first, _, _ := strings.Cut(name, "/"); !strings.Contains(first, ".") {
		return "", false
	}
	for short, prefix := range thirdParties {
		if name == prefix || strings.HasPrefix(name, prefix+"/") {
			return short, false
		}
	}
	return name, false
}

func TestImports(t *testing.T) {
	obeyed(t, imports, map[string]string{
		"coze/a.go":             `package coze; import "github.com/redis/go-redis/v9"`,
		"coze/b.go":             `package coze; import "github.com/cozeq/cozeq/results"`,
		"results/a.go":          `package results; import "github.com/cozeq/cozeq/tasks"`,
		"worker/a.go":           `package worker; import "github.com/cozeq/cozeq/internal/input"`,
		"worker/b.go":           `package worker; import "go.opentelemetry.io/otel/sdk/trace"`,
		"internal/filerun/a.go": `package filerun; import "github.com/redis/go-redis/v9"`,
		"cmd/cozeq/a.go":        `package main; import "github.com/cozeq/cozeq/internal/redistest"`,
		"internal/new/a.go":     `package new`,
	})
}

// testing in a program is its flags on the command line and 300 KB for nothing.
func testingLinked(files []file) (faults []string) {
	for _, f := range files {
		if f.test || slices.Contains(forTests, f.dir) {
			continue
		}
		for _, name := range f.imports {
			if name == "testing" || strings.HasPrefix(name, "testing/") {
				faults = append(faults, fmt.Sprintf("%s: imports %s outside a test", f.path, name))
			}
		}
	}
	return faults
}

// forTests are the packages that only tests import.
var forTests = []string{"internal/redistest", "internal/tasktest", "internal/filetest", "internal/nodetest", "internal/workertest", "internal/awaittest"}

func TestTestingIsNotLinked(t *testing.T) {
	obeyed(t, testingLinked, map[string]string{
		"coze/cozetest/a.go": `package cozetest; import "testing"`,
		"worker/a.go":        `package worker; import "testing/fstest"`,
	})
}
