package cozetest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Rule is a Fault and the asks that meet it. All conditions that are set must
// hold; a Rule without any meets every ask.
type Rule struct {
	// On is the call that meets the fault: "" or "chat", "retrieve", "messages"
	// (a chat's), "submit" (tool outputs), "cancel", "history" (a conversation's messages), "conversation"
	// (create), "message" (create), "delete" (a message), "token" (of an OAuth app), "bot" (its published
	// form), "benefit" (the account's plan), "user" (whose the token is), "upload" (a file), "file" (what is known of one),
	// "workflow" (run or resumed, streamed or not), "run_history". On submit and workflow the faults of a chat that runs make
	// sense, too; on all calls but these three only Refuse, Limit, Expired, Gateway, Hangup and Stall; Stall delays the reply.
	On string
	// Contains is a part of the question; Match a regular expression for it.
	// Calls about a chat have its question, the others the empty one.
	Contains string
	Match    string
	// Nth is the number of the ask among all that came as far as the rules, from 1.
	Nth int
	// Times is how many asks of one question meet the fault before it falls
	// through to the next rule. 0: all.
	Times int
	// Percent of the asks meet the fault, picked by question, ask and seed.
	// 0: all.
	Percent float64

	Fault

	re *regexp.Regexp
}

// Script is a list of rules.
type Script []Rule

// onSubmit is the call that gives a chat tool outputs.
const onSubmit = "submit"

var calls = []string{"chat", onSubmit, "retrieve", "messages", "cancel", "history", "conversation", "message", "delete", "token", "bot", "benefit", "user", onUpload, "file", onWorkflow, onHistory}

func (r *Rule) compile() error {
	if r.On == "" {
		r.On = "chat"
	}
	if !slices.Contains(calls, r.On) {
		return fmt.Errorf("on %q; one of %q", r.On, calls)
	}
	if r.Nth < 0 || r.Times < 0 {
		return errors.New("nth and times are not negative")
	}
	if !(r.Percent >= 0 && r.Percent <= 100) { // written so that NaN fails it too
		return fmt.Errorf("percent %v is not between 0 and 100", r.Percent)
	}
	if r.Match != "" {
		re, err := regexp.Compile(r.Match)
		if err != nil {
			return fmt.Errorf("match: %w", err)
		}
		r.re = re
	}
	if !slices.Contains([]string{"chat", onSubmit, onWorkflow}, r.On) && !slices.Contains([]Kind{Refuse, Limit, Expired, Gateway, Hangup, Stall}, r.Kind) ||
		r.On == onSubmit && slices.Contains([]Kind{Action, AskBack, Move, Stray, Expired}, r.Kind) {
		return fmt.Errorf("fault %q cannot happen on %q", r.Kind, r.On)
	}
	return r.check()
}

// rulebook picks the fault of each ask and keeps count. Its owner locks it.
type rulebook struct {
	rules Script
	seed  uint64
	asked map[string]int // by On: asks so far
	met   map[met]int
	drawn map[uint64]int // draws of a percentage, by question: see meets
}

// met is a rule (negative for directives) and the question that met it.
type met struct {
	rule     int
	question uint64
}

func newRulebook(rules Script, seed uint64) (*rulebook, error) {
	b := &rulebook{rules: slices.Clone(rules), seed: seed, asked: map[string]int{}, met: map[met]int{}, drawn: map[uint64]int{}}
	for i := range b.rules {
		if err := b.rules[i].compile(); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return b, nil
}

// pick returns the fault of this ask; nil for none. directives come from the
// question itself and go before the script.
func (b *rulebook) pick(on, question string, directives []Rule) *Fault {
	if len(b.rules) == 0 && len(directives) == 0 {
		return nil
	}
	b.asked[on]++
	h := hash(question)
	for i := range directives {
		if b.meets(&directives[i], -1-i, on, question, h) {
			return &directives[i].Fault
		}
	}
	for i := range b.rules {
		if b.meets(&b.rules[i], i, on, question, h) {
			return &b.rules[i].Fault
		}
	}
	return nil
}

func (b *rulebook) meets(r *Rule, index int, on, question string, h uint64) bool {
	if r.On != on || r.Nth != 0 && r.Nth != b.asked[on] ||
		r.Contains != "" && !strings.Contains(question, r.Contains) ||
		r.re != nil && !r.re.MatchString(question) {
		return false
	}
	if r.Percent > 0 {
		// The question's own count goes in, so that one which met the fault is not
		// bound to meet it for ever, and yet the order in which concurrent asks
		// arrive changes nothing.
		b.drawn[h]++
		x := mix(h ^ mix(b.seed+uint64(b.drawn[h])) ^ mix(uint64(index)))
		if float64(x%1_000_000) >= r.Percent*10_000 {
			return false
		}
	}
	if r.Times == 0 {
		return true
	}
	k := met{index, h}
	if b.met[k] >= r.Times {
		return false
	}
	b.met[k]++
	return true
}

// hash is FNV-1a: the same in every process, as percentages have to be.
func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, s)
	return h.Sum64()
}

// mix is the finaliser of splitmix64: FNV alone leaves the low bits of similar
// questions too alike to draw a percentage from.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (f *Fault) pace(configured time.Duration) time.Duration {
	switch {
	case f.Pace > 0:
		return f.Pace
	case f.Kind == Endless || f.Kind == Drip:
		return max(configured, time.Second)
	}
	return configured
}
