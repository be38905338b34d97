package run

import (
	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/worker"
)

// waitOf says what a question waits for after an attempt that ended with a verdict.
func waitOf(v worker.Verdict) progress.Wait {
	switch {
	case v.Action == worker.Retry:
		return progress.WaitBackOff
	case v.Action != worker.Later:
		return progress.NoWait
	case v.Parked != "":
		return progress.WaitPause
	case v.Class == coze.ClassRate:
		return progress.WaitRate
	case v.Class == coze.ClassBusy:
		return progress.WaitBusy
	case v.Class == coze.ClassTransient:
		return progress.WaitPause // it got no connection: nothing was asked that could be asked again
	case lane.Waits(v.After):
		return progress.WaitTurn
	}
	return progress.WaitOther
}
