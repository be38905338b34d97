package apikey

import (
	"errors"
	"regexp"
	"strconv"
	"time"
)

// Rate is how many questions a key may submit: N in each Per, on the average. That many may come at once.
type Rate struct {
	N   float64
	Per time.Duration
}

func (r Rate) String() string {
	unit := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[r.Per]
	return strconv.FormatFloat(r.N, 'f', -1, 64) + "/" + unit
}

// rateForm is that of COZEQ_RATE.
var rateForm = regexp.MustCompile(`^([0-9]{1,9}(?:\.[0-9]{1,9})?)/([smh])$`)

var errRate = errors.New("want a number above 0 by second, minute or hour, as 10/s, 300/m or 5000/h")

func parseRate(text string) (Rate, error) {
	parts := rateForm.FindStringSubmatch(text)
	if parts == nil {
		return Rate{}, errRate
	}
	n, err := strconv.ParseFloat(parts[1], 64)
	if err != nil || n <= 0 {
		return Rate{}, errRate
	}
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[parts[2]]
	return Rate{N: n, Per: per}, nil
}
