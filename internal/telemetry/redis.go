package telemetry

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// RedisCollector mirrors at each scrape what a Redis, or each master of a cluster, says of itself. All processes of one Redis
// report the same numbers: take the maximum, not the sum. Some managed servers, and users whose rules forbid INFO, say
// nothing; then the metrics are left out.
type RedisCollector struct {
	rdb     redis.UniversalClient
	up      *prometheus.Desc
	used    *prometheus.Desc
	most    *prometheus.Desc
	policy  *prometheus.Desc
	evicted *prometheus.Desc
	file    *prometheus.Desc
	written *prometheus.Desc
}

func NewRedisCollector(rdb redis.UniversalClient) *RedisCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &RedisCollector{
		rdb: rdb,
		up:  desc("cozeq_redis_up", "1 if Redis answered, of a cluster every master."),
		used: desc("cozeq_redis_memory_used_bytes",
			"Memory that counts for maxmemory.", "node"),
		most: desc("cozeq_redis_memory_max_bytes",
			"maxmemory; 0 if there is none.", "node"),
		policy: desc("cozeq_redis_maxmemory_policy",
			"1 for the policy that is set. Any but noeviction drops questions and answers when memory is full.", "node", "policy"),
		evicted: desc("cozeq_redis_evicted_keys_total",
			"Keys that were dropped because memory was full. Each may have been a question or an answer.", "node"),
		file: desc("cozeq_redis_append_only",
			"1 if there is an append-only file. Without one a restart of Redis loses what came since its last snapshot.", "node"),
		written: desc("cozeq_redis_persistence_ok",
			"0 if the last write of the append-only file, or the last snapshot, has failed: Redis refuses writes then.", "node"),
	}
}

func (c *RedisCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.used, c.most, c.policy, c.evicted, c.file, c.written} {
		ch <- d
	}
}

func (c *RedisCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	up := 1.0
	if err := c.nodes(ctx, ch); err != nil {
		up = 0
	}
	ch <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up)
}

// nodes collects each master. An error means that one did not answer.
func (c *RedisCollector) nodes(ctx context.Context, ch chan<- prometheus.Metric) error {
	switch rdb := c.rdb.(type) {
	case *redis.ClusterClient:
		var one sync.Mutex
		return rdb.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			one.Lock()
			defer one.Unlock()
			return c.node(ctx, ch, master, master.Options().Addr)
		})
	case *redis.Client:
		name := rdb.Options().Addr
		if name == "FailoverClient" { // as go-redis calls one that asks sentinels
			name = "master"
		}
		return c.node(ctx, ch, rdb, name)
	}
	return c.node(ctx, ch, c.rdb, "redis")
}

func (c *RedisCollector) node(ctx context.Context, ch chan<- prometheus.Metric, rdb redis.Cmdable, name string) error {
	text, err := rdb.Info(ctx).Result()
	if _, answered := errors.AsType[redis.Error](err); answered && !redis.IsLoadingError(err) {
		return nil
	}
	if err != nil {
		return err
	}
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[key] = value
		}
	}
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, kind, value, append([]string{name}, labels...)...)
	}
	number := func(key string) (float64, bool) {
		n, err := strconv.ParseFloat(info[key], 64)
		return n, err == nil
	}
	if used, ok := number("used_memory"); ok {
		apart, _ := number("mem_not_counted_for_evict") // buffers of replicas and of the file
		send(c.used, prometheus.GaugeValue, max(0, used-apart))
	}
	if most, ok := number("maxmemory"); ok {
		send(c.most, prometheus.GaugeValue, most)
	}
	if policy := info["maxmemory_policy"]; policy != "" {
		send(c.policy, prometheus.GaugeValue, 1, policy)
	}
	if n, ok := number("evicted_keys"); ok {
		send(c.evicted, prometheus.CounterValue, n)
	}
	if on, ok := number("aof_enabled"); ok {
		send(c.file, prometheus.GaugeValue, on)
	}
	if aof, rdb := info["aof_last_write_status"], info["rdb_last_bgsave_status"]; aof+rdb != "" {
		well := 1.0
		if aof == "err" || rdb == "err" {
			well = 0
		}
		send(c.written, prometheus.GaugeValue, well)
	}
	return nil
}

// scrapeTime bounds the reads of one scrape.
const scrapeTime = 5 * time.Second
