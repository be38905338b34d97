package pause

import (
	"time"

	"github.com/cozeq/cozeq/coze"
)

// Scope is what a failure pauses, "" for nothing.
func Scope(e *coze.Error) coze.Scope {
	switch {
	case e.Scope == coze.ScopeBot && e.Class != coze.ClassRate:
		return coze.ScopeBot
	case e.Class == coze.ClassAuth, e.Class == coze.ClassQuota, e.Class == coze.ClassEndpoint:
		return coze.ScopeAccount
	}
	return ""
}

// Unreachable reports whether a failure says that Coze is not there.
func Unreachable(e *coze.Error) bool { return e.Class == coze.ClassEndpoint || e.Unreached }

// Unreachable reports whether the pause began because Coze was unreachable: something else answers, or nothing does. In the
// second case the class is transient, which no other pause of a credential has.
func (p Pause) Unreachable() bool {
	return p.BotID == "" && (p.Class == string(coze.ClassEndpoint) || p.Class == string(coze.ClassTransient))
}

// ProbeFirst is the time to the first probe. The time doubles with each probe, up to probeMost. If Coze is unreachable,
// probes come sooner: a network often returns by itself, and a probe costs nothing.
const (
	ProbeFirst    = 30 * time.Second
	probeMost     = 10 * time.Minute
	probeNetFirst = time.Second
	probeNetMost  = 30 * time.Second
)

// ProbeTimes are the time to the first probe after a failure, and the longest between two.
func ProbeTimes(e *coze.Error) (first, most time.Duration) {
	if e.Unreached {
		return probeNetFirst, probeNetMost
	}
	return ProbeFirst, probeMost
}
