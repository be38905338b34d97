package progress

// OpenRow is a row that is in the queue or being asked.
type OpenRow struct {
	ID   string // of the task
	Lane string // the lane in which it waits for its turn, see tasks.Chat.Lane; "" = none
}
