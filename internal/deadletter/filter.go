package deadletter

import (
	"errors"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/tasks"
)

// Filter says which failed tasks are meant. The zero value means all.
type Filter struct {
	Queue  string
	Tenant string
	Class  string    // of the failure
	Code   int       // Coze's
	Since  time.Time // failed then or later
	Before time.Time // failed earlier
}

// takes reports whether a task matches as far as it is known without its record.
func (f *Filter) takes(l *Letter) bool {
	return (f.Queue == "" || l.Queue == f.Queue) && (f.Tenant == "" || l.Tenant == f.Tenant) &&
		!l.FailedAt.Before(f.Since) && (f.Before.IsZero() || l.FailedAt.Before(f.Before))
}

func (f *Filter) matches(l *Letter) bool {
	if !f.takes(l) || (f.Class != "" || f.Code != 0) && l.Failure == nil {
		return false
	}
	return (f.Class == "" || l.Failure.Class == f.Class) && (f.Code == 0 || l.Failure.Code == f.Code)
}

// Choice is a Filter as people give it: flags of a command, parameters of a request. Its zero value chooses nothing.
type Choice struct {
	Queue     string `query:"queue" doc:"only those of this queue"`
	Class     string `query:"class" doc:"only failures of this class of error"`
	Code      int    `query:"code" doc:"only failures with this code of Coze"`
	Since     Age    `query:"since" doc:"only those that failed within this time, as 1h"`
	OlderThan Age    `query:"older_than" doc:"only those that failed longer ago than this, as 7d"`
}

// Age is a duration, of a request also in days.
type Age struct{ time.Duration }

func (a *Age) UnmarshalText(text []byte) error {
	d, err := flags.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%.60q is no duration: want one like 1h or 7d", text)
	}
	a.Duration = d
	return nil
}

// ChoiceError says what is wrong with a choice.
type ChoiceError struct {
	Name   string // as queue or older-than
	Reason error
}

func (e *ChoiceError) Error() string { return e.Name + ": " + e.Reason.Error() }
func (e *ChoiceError) Unwrap() error { return e.Reason }

// Filter checks the choice. The error is a *ChoiceError.
func (c Choice) Filter(now time.Time) (Filter, error) {
	f := Filter{Queue: c.Queue, Class: c.Class, Code: c.Code}
	if c.Class != "" {
		if _, err := coze.ParseClass(c.Class); err != nil {
			return f, &ChoiceError{"class", err}
		}
	}
	if c.Queue != "" {
		if err := tasks.ValidateQueue(c.Queue); err != nil {
			return f, &ChoiceError{"queue", err}
		}
	}
	for _, d := range []struct {
		name string
		ago  time.Duration
		to   *time.Time
	}{{"since", c.Since.Duration, &f.Since}, {"older-than", c.OlderThan.Duration, &f.Before}} {
		if d.ago < 0 {
			return f, &ChoiceError{d.name, fmt.Errorf("%s, want more than 0", flags.Format(d.ago))}
		}
		if d.ago > 0 {
			*d.to = now.Add(-d.ago)
		}
	}
	return f, nil
}

// ErrYoung refuses a deletion of what has failed lately: who says since 7d there mostly means the older ones.
var ErrYoung = &ChoiceError{"since", errors.New("it would delete the latest failures and keep the old ones: older-than 7d deletes what failed more than 7 days ago")}
