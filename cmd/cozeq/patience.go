package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/worker"
)

// patiences are how long a command waits for the end of a pause before it gives up.
type patiences struct{ quota, way, other time.Duration }

// quotaPatience of a run is for the quota of a minute or an hour, wayPatience of a run
// and an ask for a network or a gateway that restarts. What is wrong with a token or a
// bot takes a person.
const (
	quotaPatience = 10 * time.Minute
	wayPatience   = 2 * time.Minute
)

const patienceFlag = "patience"

func addPatience(cmd *cobra.Command, d *time.Duration, def string) {
	flags.Duration(cmd.Flags(), d, patienceFlag, 0,
		"wait this long while Coze refuses everything or is unreachable, then exit with 4 or 1 (default "+def+")")
}

// patienceOf reads the flag, which overrides the default for all classes.
func patienceOf(cmd *cobra.Command, given time.Duration, def patiences) (patiences, error) {
	if !cmd.Flags().Changed(patienceFlag) {
		return def, nil
	}
	if given < 0 {
		return def, usagef(cmd, "--patience %v, want 0 or more", given)
	}
	return patiences{given, given, given}, nil
}

// of is the patience with several pauses: while one may end by itself it is worth
// waiting.
func (p patiences) of(pauses []worker.Pause) time.Duration {
	longest := time.Duration(0)
	for _, pause := range pauses {
		d := p.other
		switch {
		case pause.Class == string(coze.ClassQuota):
			d = p.quota
		case pause.OfWay():
			d = p.way
		}
		longest = max(longest, d)
	}
	return longest
}

// forEver is the patience of who only looks on. It is longer than a batch is kept.
const forEver = 10 * 365 * 24 * time.Hour

// upTo is a patience in a sentence.
func upTo(d time.Duration) string {
	if d >= forEver {
		return "for its end"
	}
	return "up to " + d.String()
}
