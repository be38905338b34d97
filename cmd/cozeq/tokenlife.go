package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cozeq/cozeq/coze/oauth"
)

// tokenLife is what can be known of a token's end. Coze tells it to nobody but on its
// pages.
type tokenLife struct {
	set  time.Time // as somebody has set it; zero: nobody has
	file string    // that the token is in; empty: in none
}

// tokenLife is that of the token which the variables name.
func (c config) tokenLife() (tokenLife, error) {
	var l tokenLife
	if token, _ := c.env(envToken); strings.TrimSpace(token) == "" {
		l.file, _ = c.env(envTokenFile)
	}
	value, _ := c.env(envTokenEnds)
	if value == "" {
		return l, nil
	}
	var err error
	if l.set, err = parseExpiry(value); err != nil {
		return l, c.bad(envTokenEnds, "%w", err)
	}
	return l, nil
}

// parseExpiry reads a moment, or a day, at whose beginning the token may be gone.
func parseExpiry(value string) (time.Time, error) {
	value = strings.TrimSpace(value)
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("want the moment at which the token ends, as 2026-12-31 or 2026-12-31T08:00:00Z") // not repeated: it may be the token
}

// end is when the token ends, zero where that is not known. A personal token's end that
// nobody has set is the latest possible one: a token has to be there before its file.
func (l tokenLife) end(token string) time.Time {
	if !l.set.IsZero() || l.file == "" || !strings.HasPrefix(token, "pat_") {
		return l.set
	}
	info, err := os.Stat(l.file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime().Add(personalLife)
}

// tokenCollector tells when tokens end that somebody has to replace. Those of an OAuth
// app are renewed by themselves.
type tokenCollector struct {
	credentials []credential
	expires     *prometheus.Desc
}

func newTokenCollector(a account) *tokenCollector {
	return &tokenCollector{
		credentials: append([]credential{a.credential}, a.others...),
		expires: prometheus.NewDesc("cozeq_token_expires_timestamp_seconds",
			"When the credential's token ends: as it was set, else, for a personal token in a file, at the latest.",
			[]string{"credential"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (t *tokenCollector) Describe(ch chan<- *prometheus.Desc) { ch <- t.expires }

// Collect implements prometheus.Collector. Of several credentials with one token the
// earliest end is told.
func (t *tokenCollector) Collect(ch chan<- prometheus.Metric) {
	ends := make(map[string]time.Time)
	for _, c := range t.credentials {
		if _, renewed := c.token.(*oauth.Source); renewed || c.token == nil {
			continue
		}
		token, err := c.token.Token(context.Background())
		if err != nil {
			continue
		}
		id, err := c.over(nil).Identity(context.Background())
		end := c.life.end(token)
		if err != nil || end.IsZero() {
			continue
		}
		if known, ok := ends[id]; !ok || end.Before(known) {
			ends[id] = end
		}
	}
	for id, end := range ends {
		ch <- prometheus.MustNewConstMetric(t.expires, prometheus.GaugeValue, float64(end.Unix()), id)
	}
}
