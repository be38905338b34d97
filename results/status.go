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

// Terminal reports whether a task with this status has ended. Only an
// operator who runs the task again reopens it.
func (s Status) Terminal() bool {
	switch s {
	case Completed, Failed, Canceled, Expired:
		return true
	}
	return false
}
