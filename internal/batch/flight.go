package batch

// Flight is a row that is in the queue or being asked.
type Flight struct {
	ID   string // of the task
	Lane string // the line in which it waits for its turn, see tasks.Chat.Lane; "" = none
}

// Flights lists the rows that are in the queue or being asked, in no order. Safe to call at any time, concurrently too.
func (j *Job) Flights() []Flight {
	r := j.gate.peek()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Flight, 0, len(r.flights))
	for id, f := range r.flights {
		all = append(all, Flight{ID: id, Lane: f.row.Chat.Lane()})
	}
	return all
}
