package main

import (
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/batch"
	"github.com/cozeq/cozeq/worker"
)

// waitOf says what a question waits for after an attempt that ended with a verdict.
func waitOf(v worker.Verdict) batch.Wait {
	const turn = 365 * 24 * time.Hour // no other wait is so long
	switch {
	case v.Action == worker.Retry:
		return batch.WaitBackOff
	case v.Action != worker.Later:
		return batch.NoWait
	case v.Aside != "":
		return batch.WaitPause
	case v.Class == coze.ClassRate:
		return batch.WaitRate
	case v.Class == coze.ClassBusy:
		return batch.WaitBusy
	case v.Class == coze.ClassTransient:
		return batch.WaitPause // it got no connection: nothing was asked that could be asked again
	case v.After > turn:
		return batch.WaitTurn
	}
	return batch.WaitOther
}
