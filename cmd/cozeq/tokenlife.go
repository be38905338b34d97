package main

import (
	"errors"
	"os"
	"strings"
	"time"
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

// personalLife is the longest that Coze gives a personal token.
const personalLife = 30 * 24 * time.Hour

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
