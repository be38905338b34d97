package webhook

import (
	"math/rand/v2"
	"time"
)

// waits are those before the second and each later try of a delivery. They are the first of Standard Webhooks' schedule,
// and end about a day after the first try: 23 h 35 min, give or take the jitter.
var waits = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 6 * time.Hour, 10 * time.Hour,
}

// Tries is how often an event is sent in all before it is given up.
const Tries = 8

// jitter is the share by which a wait is longer or shorter at random.
const jitter = 0.1

// maxRetryAfter bounds what a receiver may ask for: beyond it the tries would not end within the day.
const maxRetryAfter = 6 * time.Hour

func waitAfter(n int, least time.Duration) time.Duration {
	wait := waits[min(n, len(waits))-1]
	return max(least, time.Duration(float64(wait)*(1+jitter*(2*rand.Float64()-1))))
}

// Intervals of the watchdog, which looks whether a task or batch has ended.
const (
	firstLook = 10 * time.Second
	mostLook  = 10 * time.Minute

	// grace is how long a task may be unknown: between the scheduling of its webhook and its own enqueueing there are
	// milliseconds, unless the caller dies there or waits for a Redis that is away.
	grace = 10 * time.Minute
)

// lookAfter is the wait before the next look at something of this age: half of the age, so a look is late by half of what
// was waited for already, and a task that takes an hour costs 13 looks.
func lookAfter(age time.Duration) time.Duration {
	return min(max(age/2, firstLook), mostLook)
}
