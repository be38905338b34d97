package progress

// Wait is what a row waits for.
type Wait uint8

// The waits.
const (
	NoWait      Wait = iota
	WaitTurn         // an earlier turn of its conversation
	WaitRate         // a permit of the rate limiter
	WaitBusy         // another chat in its conversation
	WaitBackOff      // the next attempt, after one that failed
	WaitPause        // the end of a pause
	WaitSame         // the answer to the same question, which is being asked
	WaitOther        // unknown
	waitKinds        // how many there are
)

// Waits counts rows by what they wait for.
type Waits [waitKinds]int

func (w Waits) Total() int {
	n := 0
	for _, of := range w[WaitTurn:] {
		n += of
	}
	return n
}
