package main

import (
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/redistest"
)

// TestDashboardServesMetrics: what Redis knows is told where there is no worker, so that
// somebody notices. Nothing is counted there.
func TestDashboardServesMetrics(t *testing.T) {
	rdb := redistest.Start(t)
	lines, stop := startCommand(t, map[string]string{"REDIS_URL": rdb.URL(), "COZEQ_MONITOR_TOKEN": monitorToken, "COZEQ_LOG": "info"},
		"dashboard", "--http", "127.0.0.1:0")
	url := strings.TrimSuffix(logged(t, lines, "serving the dashboard")["url"].(string), dashboard.Root)
	status, body := call(t, "GET", url+"/metrics")
	for _, line := range []string{"\ncozeq_workers 0\n", "\ncozeq_redis_up 1\n", `cozeq_redis_maxmemory_policy{node="`, "\ngo_goroutines ", "cozeq_build_info{version="} {
		if !strings.Contains(body, line) {
			t.Errorf("/metrics without a token: %d, no %q in\n%s", status, line, body)
		}
	}
	if strings.Contains(body, "cozeq_concurrency") || strings.Contains(body, monitorToken) {
		t.Errorf("/metrics:\n%s", body)
	}
	if code := stop(); code != exitcode.OK {
		t.Errorf("exit code %d", code)
	}
}
