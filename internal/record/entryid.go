package record

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// EntryID is the id of an entry of a Redis stream. Ids of a stream grow. The zero value is before all of them.
type EntryID struct{ Milliseconds, Number uint64 }

// ParseEntryID reads an id as Redis writes it: two numbers with a dash between them.
func ParseEntryID(s string) (EntryID, error) {
	a, b, _ := strings.Cut(s, "-")
	ms, errA := strconv.ParseUint(a, 10, 64)
	n, errB := strconv.ParseUint(b, 10, 64)
	id := EntryID{ms, n}
	if errA != nil || errB != nil || id.String() != s {
		return EntryID{}, fmt.Errorf("%q is no id of a stream's entry, as 1700000000000-0 is", s)
	}
	return id, nil
}

func (id EntryID) String() string {
	b := strconv.AppendUint(make([]byte, 0, 24), id.Milliseconds, 10)
	return string(strconv.AppendUint(append(b, '-'), id.Number, 10))
}

// Compare is less than, equal to or greater than zero, as id is before, at or behind other.
func (id EntryID) Compare(other EntryID) int {
	return cmp.Or(cmp.Compare(id.Milliseconds, other.Milliseconds), cmp.Compare(id.Number, other.Number))
}
