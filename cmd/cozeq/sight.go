package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// sight is what one look at the pauses has shown.
type sight struct {
	standing []worker.Pause // of credentials that live workers have: others end by themselves
	held     []worker.Pause // those of them that concern questions of ours
	all      bool           // ... and there is no question that they do not concern
	whole    bool           // ... because the queue itself is paused
}

// look reads what is paused.
func (w *pauseWatch) look(ctx context.Context) (s sight, err error) {
	all, err := worker.Pauses(ctx, w.rdb)
	if err != nil || len(all) == 0 {
		return s, err
	}
	limits, err := worker.Limits(ctx, w.rdb)
	if err != nil {
		return s, err
	}
	served := make(map[string]bool, len(limits))
	for _, l := range limits {
		served[l.Credential] = l.Served
	}
	queue, paused, err := w.pausedQueue(ctx)
	if err != nil {
		return s, err
	}
	var ofQueue []worker.Pause
	for _, p := range all {
		if !served[p.Credential] {
			continue
		}
		s.standing = append(s.standing, p)
		if paused && p.BotID == "" && slices.Contains(queue.Credentials, p.Credential) {
			ofQueue = append(ofQueue, p)
		}
	}
	if len(ofQueue) > 0 && len(queue.Others) == 0 {
		s.held, s.all, s.whole = ofQueue, true, true
		return s, nil
	}
	err = w.whoSteppedAside(ctx, &s)
	if s.all {
		return s, err
	}
	for _, p := range ofQueue { // shown, but workers of other credentials go on
		if !slices.Contains(s.held, p) {
			s.held = append(s.held, p)
		}
	}
	return s, err
}

// pausedQueue is the pause of the queue. Of a NAME/N all have to be paused, and the last
// one's stands for all: cozeq pauses all queues that a worker serves.
func (w *pauseWatch) pausedQueue(ctx context.Context) (p worker.QueuePause, ok bool, err error) {
	shards, err := tasks.Shards(w.queue)
	if err != nil {
		return p, false, err
	}
	for _, queue := range shards {
		if p, ok, err = worker.PausedQueue(ctx, w.rdb, queue); err != nil || !ok {
			return p, false, err
		}
	}
	return p, ok, nil
}

// holds tells of each question whether it waits aside for the end of a pause.
func (w *pauseWatch) holds(ctx context.Context, p worker.Pause, flights []progress.Flight) ([]bool, error) {
	ids, at := map[string][]string{}, map[string][]int{} // by queue
	for i, f := range flights {
		queue, err := tasks.Shard(w.queue, cmp.Or(f.Lane, f.ID))
		if err != nil {
			return nil, err
		}
		ids[queue], at[queue] = append(ids[queue], f.ID), append(at[queue], i)
	}
	held := make([]bool, len(flights))
	for queue := range ids {
		part, err := p.Holds(ctx, w.rdb, queue, ids[queue])
		if err != nil {
			return nil, err
		}
		for i, h := range part {
			held[at[queue][i]] = h
		}
	}
	return held, nil
}

// whoSteppedAside finds which questions wait aside, or in a conversation behind one
// that does.
func (w *pauseWatch) whoSteppedAside(ctx context.Context, s *sight) error {
	flights := w.flights()
	aside, lanes := make([]bool, len(flights)), map[string]bool{}
	for _, p := range s.standing {
		if p.Aside == 0 {
			continue
		}
		holds, err := w.holds(ctx, p, flights)
		if err != nil {
			return err
		}
		any := false
		for i, held := range holds {
			if held {
				any, aside[i], lanes[flights[i].Lane] = true, true, true
			}
		}
		if any {
			s.held = append(s.held, p)
		}
	}
	delete(lanes, "") // no conversation
	s.all = len(s.held) > 0
	for i, f := range flights {
		s.all = s.all && (aside[i] || lanes[f.Lane])
	}
	return nil
}

// ended reports whether a pause stands no longer, or is another one by now.
func (s sight) ended(p worker.Pause) bool {
	for _, q := range s.standing {
		if q.Credential == p.Credential && q.BotID == p.BotID && q.Since.Equal(p.Since) {
			return false
		}
	}
	return true
}

// note is for the line of progress; all is true where there is no other.
func (w *pauseWatch) note() (text string, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wait.pauses) > 0 {
		p := w.wait.pauses[0]
		text := "paused: " + pauseCause(p) + " since " + p.Since.Local().Format(time.TimeOnly) + ", " + nextProbe(p)
		if n := len(w.wait.pauses) - 1; n > 0 {
			text += fmt.Sprintf(", and %d more", n)
		}
		return text, true
	}
	if n := len(w.seen.held); n > 0 {
		p := w.seen.held[0]
		text := pauseSubject(p) + " paused: " + pauseCause(p)
		if n > 1 {
			text += fmt.Sprintf(", and %d more", n-1)
		}
		return text, false
	}
	return "", false
}

func pauseSubject(p worker.Pause) string {
	if p.BotID != "" {
		return "bot " + short(p.BotID, 64)
	}
	return "credential " + p.Credential
}

// pauseCause is the code with its class: 4028 (quota). Of the way to Coze it is what
// happened there.
func pauseCause(p worker.Pause) string {
	if p.OfWay() {
		return wayFault(coze.Class(p.Class)) + " (" + short(p.Message, 120) + ")"
	}
	if p.Code == 0 {
		return p.Class
	}
	return fmt.Sprintf("%d (%s)", p.Code, p.Class)
}

func nextProbe(p worker.Pause) string {
	if left := time.Until(p.NextProbe).Round(time.Second); left > 0 {
		return "next probe in " + rounded(left)
	}
	return "a probe goes out now"
}

// reasons says each pause in a line of its own words.
func reasons(pauses []worker.Pause) string {
	all := make([]string, len(pauses))
	for i, p := range pauses {
		if all[i] = pauseSubject(p) + ": " + pauseError(p).Error(); p.OfWay() {
			all[i] = pauseCause(p)
		}
	}
	return strings.Join(all, "; ")
}

// pauseError is Coze's word that a pause came from.
func pauseError(p worker.Pause) *coze.Error {
	e := &coze.Error{Op: "chat", Code: p.Code, Class: coze.Class(p.Class), Message: short(p.Message, 500), LogID: p.LogID}
	return e.WithHint(p.Hint)
}

// stoppedBy is the end of patience after so long.
func stoppedBy(pauses []worker.Pause, waited time.Duration, again string) error {
	first := pauses[0]
	e := &stoppedError{class: coze.Class(first.Class), err: pauseError(first), again: again}
	if first.OfWay() && waited >= time.Second {
		e.err = fmt.Errorf("tried for %s: %w", rounded(waited), e.err)
	}
	if first.BotID != "" {
		e.subject = pauseSubject(first)
	}
	for _, p := range pauses[1:] {
		e.err = fmt.Errorf("%w; %s: %w", e.err, pauseSubject(p), pauseError(p))
	}
	return e
}
