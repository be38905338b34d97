// Package usage is for mistakes in what a user asked for: [Error] says what is wrong and what to do, [Nearest] finds the
// name that a misspelt one stands for.
package usage

// Error is a mistake in what a user asked for. Nothing was asked of Coze.
type Error struct {
	What string // what is wrong, naming the file
	Hint string // what to do
}

func (e *Error) Error() string { return e.What + ": " + e.Hint }
