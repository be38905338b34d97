package cozetest

import (
	"maps"
	"slices"
	"time"
)

// Request is one call that the fake received, and what it answered.
type Request struct {
	Time           time.Time
	Method, Path   string
	ConversationID string
	ChatID         string
	BotID, UserID  string
	Question       string            // chats: the text of the last message; runs: the parameters as JSON; directives included
	MetaData       map[string]string // chats: the chat's; otherwise the body's
	FileName       string            // of an upload
	WorkflowID     string            // of a run, with the id of it:
	ExecuteID      string
	Stream         bool
	Fault          Kind   // the scripted fault that it met
	Status         int    // HTTP; 0 when the fake hung up
	Code           int    // Coze's, in the envelope or in a first and only error event
	LogID          string // as in X-Tt-Logid
}

// journal remembers requests and counts. Its owner locks it.
type journal struct {
	keep     int
	ring     []Request
	next     int // where the ring is overwritten, once it is full
	calls    map[string]int
	accepted int
	repeats  int
	asked    map[uint64]uint32 // by hash: a soak's million questions take 24 MB, not their text
	running  int
	most     int
}

func (j *journal) add(r Request) {
	j.calls[callOf(r.Path)]++
	switch {
	case j.keep < 0:
	case j.keep == 0 || len(j.ring) < j.keep:
		j.ring = append(j.ring, r)
	default:
		j.ring[j.next] = r
		j.next = (j.next + 1) % j.keep
	}
}

func (j *journal) accept(question string) {
	j.acceptRun(question)
	j.running++
	j.most = max(j.most, j.running)
}

// acceptRun is accept for a workflow's run, whose end nobody counts.
func (j *journal) acceptRun(question string) {
	j.accepted++
	h := hash(question)
	if j.asked[h] > 0 {
		j.repeats++
	}
	j.asked[h]++
}

// Requests returns the requests so far, oldest first, as far as KeepLog goes. A
// request is in it before its reply's first byte is.
func (f *Fake) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Concat(f.journal.ring[f.journal.next:], f.journal.ring[:f.journal.next])
	for i := range out {
		out[i].MetaData = maps.Clone(out[i].MetaData)
	}
	return out
}

// count reads a number of the journal.
func (f *Fake) count(of func(j *journal) int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return of(&f.journal)
}

// Calls is how often a path was called, such as "/v3/chat", refusals included. A run's history is counted without its ids,
// as "/v1/workflows/:workflow_id/run_histories/:execute_id".
func (f *Fake) Calls(path string) int { return f.count(func(j *journal) int { return j.calls[path] }) }

// Accepted is how many chats came to be, and runs of workflows.
func (f *Fake) Accepted() int { return f.count(func(j *journal) int { return j.accepted }) }

// ByQuestion is how many chats came to be for exactly this question, in
// whatever conversation, or runs of workflows with these parameters as JSON.
func (f *Fake) ByQuestion(question string) int {
	return f.count(func(j *journal) int { return int(j.asked[hash(question)]) })
}

// Repeats is how many chats came to be for a question that had one before: the
// bill for asking twice. (Questions are told apart by a 64-bit hash.)
func (f *Fake) Repeats() int { return f.count(func(j *journal) int { return j.repeats }) }

// Running is how many chats are under way now, watched or not.
func (f *Fake) Running() int { return f.count(func(j *journal) int { return j.running }) }

// MaxRunning is the highest number of chats at a time that the conversation was
// asked for. One refused with 4016 counts, so 1 proves that its client
// waited for its turn. The empty id asks about all conversations together,
// where refused chats do not count.
func (f *Fake) MaxRunning(conversationID string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if conversationID == "" {
		return f.journal.most
	}
	if c := f.conversations[conversationID]; c != nil {
		return c.most
	}
	return 0
}

// Order returns the questions of a conversation's chats as they were accepted.
func (f *Fake) Order(conversationID string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.conversations[conversationID]
	if c == nil {
		return nil
	}
	out := make([]string, len(c.chats))
	for i, ch := range c.chats {
		out[i] = ch.question
	}
	return out
}
