package worker

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
)

// PauseCollector mirrors pauses and learnt limits at each scrape. All workers of one
// Redis report the same numbers: take the maximum, not the sum. Credentials are told
// by their hash, bots not at all: there may be any number of them.
type PauseCollector struct {
	rdb    redis.UniversalClient
	paused *prometheus.Desc
	rate   *prometheus.Desc
}

// NewPauseCollector returns a collector for the pauses and limits of rdb.
func NewPauseCollector(rdb redis.UniversalClient) *PauseCollector {
	return &PauseCollector{
		rdb: rdb,
		paused: prometheus.NewDesc("cozeq_paused",
			"1 if the credential is paused (scope credential), or one of its bots (scope bot).",
			[]string{"credential", "scope"}, nil),
		rate: prometheus.NewDesc("cozeq_rate_limit_calls_per_second",
			"What the credential's limit is taken to be, all processes together.", []string{"credential"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *PauseCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.paused
	ch <- c.rate
}

// scrapeTime bounds the reads of one scrape.
const scrapeTime = 5 * time.Second

// Collect implements prometheus.Collector. What cannot be read is left out.
func (c *PauseCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	limits, err := Limits(ctx, c.rdb)
	if err != nil {
		return
	}
	all, err := Pauses(ctx, c.rdb)
	if err != nil {
		return
	}
	type pausedBy struct{ credential, bot float64 }
	state := make(map[string]pausedBy, len(limits))
	for _, l := range limits {
		state[l.Credential] = pausedBy{}
		if l.Rate > 0 {
			ch <- prometheus.MustNewConstMetric(c.rate, prometheus.GaugeValue, l.Rate, l.Credential)
		}
	}
	for _, p := range all {
		s := state[p.Credential]
		if p.BotID == "" {
			s.credential = 1
		} else {
			s.bot = 1
		}
		state[p.Credential] = s
	}
	for id, s := range state {
		ch <- prometheus.MustNewConstMetric(c.paused, prometheus.GaugeValue, s.credential, id, "credential")
		ch <- prometheus.MustNewConstMetric(c.paused, prometheus.GaugeValue, s.bot, id, string(coze.ScopeBot))
	}
}
