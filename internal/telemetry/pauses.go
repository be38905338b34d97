package telemetry

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/ratelimit"
)

// PauseCollector mirrors pauses and learnt limits at each scrape. All workers of one Redis report the same numbers: take
// the maximum, not the sum. A credential is shown by its hash. Bots are not shown: there may be any number of them.
type PauseCollector struct {
	rdb    redis.UniversalClient
	paused *prometheus.Desc
	pauses *prometheus.Desc
	aside  *prometheus.Desc
	rate   *prometheus.Desc
}

func NewPauseCollector(rdb redis.UniversalClient) *PauseCollector {
	return &PauseCollector{
		rdb: rdb,
		paused: prometheus.NewDesc("cozeq_paused",
			"1 if the credential is paused (scope credential), or one of its bots (scope bot).",
			[]string{"credential", "scope"}, nil),
		pauses: prometheus.NewDesc("cozeq_pauses",
			"Pauses that stand, by what they are of (scope credential, or bot: one for each bot) and why (error class).",
			[]string{"credential", "scope", "class"}, nil),
		aside: prometheus.NewDesc("cozeq_tasks_aside",
			"Tasks that are parked until a pause ends.", []string{"credential", "scope"}, nil),
		rate: prometheus.NewDesc("cozeq_rate_limit_calls_per_second",
			"What the credential's limit is taken to be, all processes together.", []string{"credential"}, nil),
	}
}

func (c *PauseCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.paused
	ch <- c.pauses
	ch <- c.aside
	ch <- c.rate
}

// Collect implements prometheus.Collector. What cannot be read is left out.
func (c *PauseCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	limits, err := ratelimit.All(ctx, c.rdb)
	if err != nil {
		return
	}
	all, err := pause.All(ctx, c.rdb)
	if err != nil {
		return
	}
	type who struct{ credential, scope string }
	type why struct {
		who
		class string
	}
	paused, pauses, aside := make(map[who]float64), make(map[why]float64), make(map[who]float64)
	known := func(credential string) {
		for _, scope := range []string{scopeCredential, string(coze.ScopeBot)} {
			paused[who{credential, scope}] += 0
		}
	}
	for _, l := range limits {
		known(l.Credential)
		if l.Rate > 0 {
			ch <- prometheus.MustNewConstMetric(c.rate, prometheus.GaugeValue, l.Rate, l.Credential)
		}
	}
	for _, p := range all {
		known(p.Credential)
		of := who{p.Credential, scopeCredential}
		if p.BotID != "" {
			of.scope = string(coze.ScopeBot)
		}
		paused[of] = 1
		pauses[why{of, p.Class}]++
		aside[of] += float64(p.Aside)
	}
	for of, is := range paused {
		ch <- prometheus.MustNewConstMetric(c.paused, prometheus.GaugeValue, is, of.credential, of.scope)
		ch <- prometheus.MustNewConstMetric(c.aside, prometheus.GaugeValue, aside[of], of.credential, of.scope)
	}
	for of, n := range pauses {
		ch <- prometheus.MustNewConstMetric(c.pauses, prometheus.GaugeValue, n, of.credential, of.scope, of.class)
	}
}

// scopeCredential is the scope of a pause that is not of one bot, in metrics.
const scopeCredential = "credential"
