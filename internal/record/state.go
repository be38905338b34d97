package record

import (
	"strconv"
	"time"

	"github.com/cozeq/cozeq/results"
)

// state is a whole record: the result, and what only its writers need.
type state struct {
	results.Result
	Notes
	owner string // token of the Attempt that may write
}

func parse(id string, hash map[string]string, keys *results.Keys) state {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(hash[name], 10, 64)
		return n
	}
	moment := func(name string) time.Time {
		t, _ := time.Parse(time.RFC3339Nano, hash[name])
		return t
	}
	return state{
		Result: *results.Parse(id, hash, keys),
		owner:  hash["owner"],
		Notes: Notes{
			AskedAt:           moment("asked_at"),
			CancelRequested:   hash["cancel"] != "",
			Made:              hash["made"] != "",
			EndedChat:         hash["ended_chat"],
			EndedConversation: hash["ended_conversation"],
			RemovedChat:       hash["removed_chat"],
			Tools:             toolRound(id, hash["tools"], keys),
			LogID:             hash["logid"],
			Waits:             int(number("waits")),
			WaitingSince:      moment("waiting_since"),
			kept:              hash["kept"] != "",
			keep:              number("keep"),
		},
	}
}
