// Package usage is what there is to tell somebody who asked for something that cannot be: [Error], and the name that was
// probably meant.
package usage

// UsageError is a mistake in what was asked for, found before anything was read or asked.
type Error struct {
	What string // what is wrong, naming the file
	Hint string // what to do
}

func (e *Error) Error() string { return e.What + ": " + e.Hint }
