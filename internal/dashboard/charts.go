package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cozeq/cozeq/tasks"
)

// chartQueries maps the names of asynqmon's charts to queries of Prometheus. All workers report the same gauges of a
// queue: take the maximum. Each counts for itself: take the sum. %s is the filter by queue.
var chartQueries = map[string]string{
	"queue_size":                      `sum by (queue) (max by (queue, state) (cozeq_queue_tasks{%s}))`,
	"queue_latency_seconds":           `max by (queue) (cozeq_queue_oldest_pending_seconds{%s})`,
	"queue_memory_usage_approx_bytes": `max by (queue) (cozeq_queue_memory_bytes{%s})`,
	"tasks_processed_per_second":      `sum by (queue) (rate(cozeq_tasks_total{%s}[5m]))`,
	"tasks_failed_per_second":         `sum by (queue) (rate(cozeq_tasks_total{status="failed",%s}[5m]))`,
	"error_rate": `sum by (queue) (rate(cozeq_tasks_total{status="failed",%s}[5m]))` +
		` / (sum by (queue) (rate(cozeq_tasks_total{%s}[5m])) > 0)`,
	"pending_tasks_by_queue":  `max by (queue) (cozeq_queue_tasks{state="pending",%s})`,
	"retry_tasks_by_queue":    `max by (queue) (cozeq_queue_tasks{state="retry",%s})`,
	"archived_tasks_by_queue": `max by (queue) (cozeq_queue_tasks{state="archived",%s})`,
}

const (
	// chartTimeout bounds one query.
	chartTimeout = 15 * time.Second

	// maxChart bounds a reply of Prometheus, in bytes: 720 points of 100 queues are about 2 MB.
	maxChart = 16 << 20

	// chartPoints bounds the points of a chart, which is 900 pixels wide.
	chartPoints = 720

	maxChartRange = 400 * 24 * time.Hour
)

// charts serves all of asynqmon's charts at once.
func (h *handler) charts(w http.ResponseWriter, r *http.Request) {
	if h.Prometheus == nil {
		http.Error(w, "no Prometheus to ask: give --prometheus-addr", http.StatusNotFound)
		return
	}
	span, err := readSpan(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var (
		mu     sync.Mutex
		failed error
		page   = map[string]json.RawMessage{}
		wg     sync.WaitGroup
	)
	for name, query := range chartQueries {
		wg.Go(func() {
			chart, err := h.chart(r.Context(), strings.ReplaceAll(query, "%s", span.filter), span)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				chart = noChart(err)
			}
			page[name] = chart
		})
	}
	wg.Wait()
	if failed != nil {
		h.Log.Warn("no charts for the dashboard", "err", failed)
	}
	sendJSON(w, page)
}

// noChart is an error in Prometheus' form, one for each chart: asynqmon's page shows nothing for a reply that failed as a
// whole.
func noChart(err error) json.RawMessage {
	text, _ := json.Marshal(map[string]string{"status": "error", "errorType": "unavailable", "error": err.Error()}) // strings always marshal
	return text
}

// span is the time range and the queues of the charts.
type span struct {
	end    time.Time
	length time.Duration
	filter string // a matcher of PromQL, or empty
}

// readSpan checks the page's parameters: they become part of a query.
func readSpan(q url.Values) (span, error) {
	s := span{end: time.Now(), length: time.Hour}
	if v := q.Get("duration"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 1 || n > int64(maxChartRange/time.Second) {
			return s, fmt.Errorf("duration %s: want whole seconds, at most %v", quoted(v), maxChartRange)
		}
		s.length = time.Duration(n) * time.Second
	}
	if v := q.Get("endtime"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 || n > 1<<40 {
			return s, fmt.Errorf("endtime %s: want seconds since 1970", quoted(v))
		}
		s.end = time.Unix(n, 0)
	}
	if v := q.Get("queues"); v != "" {
		queues := strings.Split(v, ",")
		for _, queue := range queues {
			if err := tasks.ValidateQueue(queue); err != nil {
				return s, err
			}
		}
		s.filter = `queue=~"` + strings.Join(queues, "|") + `"`
	}
	return s, nil
}

// step is the time between two points, at least 10 s as in asynqmon.
func (s span) step() time.Duration {
	return max(10*time.Second, (s.length / chartPoints).Truncate(time.Second))
}

// chart asks Prometheus. Its errors are JSON too, which the page can show.
func (h *handler) chart(ctx context.Context, query string, s span) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, chartTimeout)
	defer cancel()
	form := url.Values{
		"query": {query},
		"start": {strconv.FormatInt(s.end.Add(-s.length).Unix(), 10)},
		"end":   {strconv.FormatInt(s.end.Unix(), 10)},
		"step":  {strconv.Itoa(int(s.step() / time.Second))},
	}
	u := h.Prometheus.JoinPath("api/v1/query_range")
	u.RawQuery = form.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := h.client.Do(request)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the query
		}
		return nil, fmt.Errorf("prometheus at %s: %w", h.Prometheus.Host, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxChart))
	if err != nil {
		return nil, fmt.Errorf("prometheus at %s: %w", h.Prometheus.Host, err)
	}
	var answer struct {
		Status string `json:"status"`
	}
	if to, err := response.Location(); err == nil {
		return nil, fmt.Errorf("prometheus at %s redirects to %s://%s%s: set --prometheus-addr to where it is", h.Prometheus.Host, to.Scheme, to.Host, to.Path)
	}
	if json.Unmarshal(body, &answer) != nil || answer.Status == "" {
		return nil, fmt.Errorf("prometheus at %s: HTTP status %s, and the answer is not one of Prometheus", h.Prometheus.Host, response.Status)
	}
	return body, nil
}
