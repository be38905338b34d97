package progress

// Flight is a row that is in the queue or being asked.
type Flight struct {
	ID   string // of the task
	Lane string // the line in which it waits for its turn, see tasks.Chat.Lane; "" = none
}
