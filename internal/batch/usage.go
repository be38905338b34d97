package batch

// UsageError is a mistake in what was asked for, found before anything was read or asked.
type UsageError struct {
	What string // what is wrong, naming the file
	Hint string // what to do
}

func (e *UsageError) Error() string { return e.What + ": " + e.Hint }
