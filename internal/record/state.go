package record

import (
	"strconv"
	"time"

	"github.com/cozeq/cozeq/results"
)

// state is a whole record: the result, and what only its writers need.
type state struct {
	results.Result
	owner             string    // token of the Attempt that may write
	askedAt           time.Time // set just before a question is sent, cleared when the ask has ended
	cancel            bool      // a cancellation was requested
	made              bool      // see Attempt
	endedChat         string    // see Attempt
	endedConversation string    // see Attempt
	removedChat       string    // see Attempt
	tools             *ToolRound
	logID             string // of the failure, or of the ask that is under way
	kept              bool   // see Entry
	keep              int64  // seconds to keep the result once it has ended; 0 = the store's default

	waits        int // see Attempt
	waitingSince time.Time
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
		Result:            *results.Parse(id, hash, keys),
		owner:             hash["owner"],
		askedAt:           moment("asked_at"),
		cancel:            hash["cancel"] != "",
		made:              hash["made"] != "",
		endedChat:         hash["ended_chat"],
		endedConversation: hash["ended_conversation"],
		removedChat:       hash["removed_chat"],
		tools:             toolRound(id, hash["tools"], keys),
		logID:             hash["logid"],
		kept:              hash["kept"] != "",
		keep:              number("keep"),
		waits:             int(number("waits")),
		waitingSince:      moment("waiting_since"),
	}
}
