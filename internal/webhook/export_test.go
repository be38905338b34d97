package webhook

import "time"

// ParseSecrets reads secrets for the fuzz target, and says how many it has found and what it prints.
func ParseSecrets(text []byte) (keys int, printed string, err error) {
	set, err := parseSecrets("secrets", text)
	if err != nil {
		return 0, "", err
	}
	for _, of := range set.keys {
		keys += len(of)
	}
	return keys, set.String(), nil
}

// RetryAfter is what a header of this value asks for.
func RetryAfter(value string, now time.Time) time.Duration { return retryAfter(value, now) }

// WaitAfter is the wait behind n failed tries.
func WaitAfter(n int, least time.Duration) time.Duration { return waitAfter(n, least) }

// Watched is how many tasks a Sender waits for.
func (s *Sender) Watched() int {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	return len(s.watch.tasks)
}
