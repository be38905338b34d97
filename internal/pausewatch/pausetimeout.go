package pausewatch

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/worker"
)

// Timeouts are how long a command waits for the end of a pause before it gives up.
type Timeouts struct{ Quota, Outage, Other time.Duration }

// QuotaTimeout lets the quota of a minute or an hour pass; OutageTimeout lets a network or a gateway restart. A bad token or
// bot needs a person, so there is no timeout for it.
const (
	QuotaTimeout  = 10 * time.Minute
	OutageTimeout = 2 * time.Minute
)

const Flag = "patience"

func AddFlag(cmd *cobra.Command, d *time.Duration, def string) {
	flags.Duration(cmd.Flags(), d, Flag, 0,
		"wait this long while Coze refuses everything or is unreachable, then exit with 4 or 1 (default "+def+")")
}

// TimeoutsOf reads the flag, which overrides the default for all classes.
func TimeoutsOf(cmd *cobra.Command, given time.Duration, def Timeouts) (Timeouts, error) {
	if !cmd.Flags().Changed(Flag) {
		return def, nil
	}
	if given < 0 {
		return def, misuse.Errorf(cmd, "--patience %v, want 0 or more", given)
	}
	return Timeouts{given, given, given}, nil
}

// of is the timeout for several pauses: the longest, as one of them may end by itself.
func (p Timeouts) of(pauses []worker.Pause) time.Duration {
	longest := time.Duration(0)
	for _, pause := range pauses {
		d := p.Other
		switch {
		case pause.Class == string(coze.ClassQuota):
			d = p.Quota
		case pause.Unreachable():
			d = p.Outage
		}
		longest = max(longest, d)
	}
	return longest
}

// Forever is for commands that only watch. It is longer than a batch is kept.
const Forever = 10 * 365 * 24 * time.Hour

func upTo(d time.Duration) string {
	if d >= Forever {
		return "for its end"
	}
	return "up to " + flags.Format(d)
}
