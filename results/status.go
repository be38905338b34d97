package results

// Status is where a task stands.
type Status string

// A task is queued, running or waiting (for its turn, a rate limit, a pause or
// a back-off) until it ends in exactly one of the other four.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Waiting   Status = "waiting"
	Completed Status = "completed"
	Failed    Status = "failed"
	Canceled  Status = "canceled"
	Expired   Status = "expired"
)

// Terminal reports whether a task with this status has ended. Nothing rewrites
// a terminal result but a replay that the operator asks for.
func (s Status) Terminal() bool {
	switch s {
	case Completed, Failed, Canceled, Expired:
		return true
	}
	return false
}
