package settings

import (
	"regexp"
	"strconv"
)

// rateForm is a number of calls in a second, a minute or an hour.
var rateForm = regexp.MustCompile(`^([0-9]{1,9}(?:\.[0-9]{1,9})?)/([smh])$`)

// Rate reads the upper bound on calls a second, 0 for none but what is learnt.
func (c Config) Rate() (float64, error) {
	value, source := c.Lookup(Rate, "")
	if value == "" {
		return 0, nil
	}
	perSecond, ok := parseRate(value)
	if !ok {
		return 0, c.Errorf(source, "%.40q, want a number above 0 by second, minute or hour, as 10/s, 300/m or 5000/h", value)
	}
	return perSecond, nil
}

// parseRate reads N/s, N/m or N/h, and gives it a second.
func parseRate(text string) (perSecond float64, ok bool) {
	parts := rateForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(parts[1], 64)
	if err != nil || n <= 0 {
		return 0, false
	}
	return n / map[string]float64{"s": 1, "m": 60, "h": 3600}[parts[2]], true
}
