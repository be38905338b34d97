package settings

import (
	"errors"
	"os"
	"strings"
	"time"
)

// TokenLife is what is known about the end of a token. Coze shows it only on its web pages.
type TokenLife struct {
	Set  time.Time // as set; zero: not set
	File string    // with the token; empty: there is none
}

func (c Config) TokenLife() (TokenLife, error) {
	var l TokenLife
	if token, _ := c.Env(EnvToken); strings.TrimSpace(token) == "" {
		l.File, _ = c.Env(EnvTokenFile)
	}
	value, _ := c.Env(EnvTokenEnds)
	if value == "" {
		return l, nil
	}
	var err error
	if l.Set, err = parseExpiry(value); err != nil {
		return l, c.Errorf(EnvTokenEnds, "%w", err)
	}
	return l, nil
}

// parseExpiry reads a moment, or a day. A token with a day may be gone when that day begins.
func parseExpiry(value string) (time.Time, error) {
	value = strings.TrimSpace(value)
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("want the moment at which the token ends, as 2026-12-31 or 2026-12-31T08:00:00Z") // not repeated: it may be the token
}

// PersonalLife is the longest that Coze gives a personal token.
const PersonalLife = 30 * 24 * time.Hour

// End is when the token ends; zero: not known. For a personal token whose end is not set, it is the latest possible end,
// counted from the file's time: the token is older than its file.
func (l TokenLife) End(token string) time.Time {
	if !l.Set.IsZero() || l.File == "" || !strings.HasPrefix(token, "pat_") {
		return l.Set
	}
	info, err := os.Stat(l.File)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime().Add(PersonalLife)
}
