package pausewatch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// Snapshot is what one look at the pauses has shown.
type Snapshot struct {
	standing []worker.Pause // of credentials that live workers have; others end by themselves
	Held     []worker.Pause // those of them that concern questions of ours
	all      bool           // they concern every question of ours
	whole    bool           // the queue itself is paused
}

func (w *Watch) Look(ctx context.Context) (s Snapshot, err error) {
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
	queue, paused, err := w.PausedQueue(ctx)
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
		s.Held, s.all, s.whole = ofQueue, true, true
		return s, nil
	}
	err = w.findParked(ctx, &s)
	if s.all {
		return s, err
	}
	for _, p := range ofQueue { // shown, but workers of other credentials go on
		if !slices.Contains(s.Held, p) {
			s.Held = append(s.Held, p)
		}
	}
	return s, err
}

// PausedQueue is the pause of the queue. A NAME/N is paused if all its shards are; the last one's pause is returned, because
// cozeq pauses all queues that a worker serves.
func (w *Watch) PausedQueue(ctx context.Context) (p worker.QueuePause, ok bool, err error) {
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

// holds reports for each question whether it is parked by the pause.
func (w *Watch) holds(ctx context.Context, p worker.Pause, flights []progress.OpenRow) ([]bool, error) {
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

// findParked finds the questions that are parked, and those behind them in the same conversation.
func (w *Watch) findParked(ctx context.Context, s *Snapshot) error {
	flights := w.OpenRows()
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
			s.Held = append(s.Held, p)
		}
	}
	delete(lanes, "") // no conversation
	s.all = len(s.Held) > 0
	for i, f := range flights {
		s.all = s.all && (aside[i] || lanes[f.Lane])
	}
	return nil
}

// ended reports whether a pause is over, or was replaced by a newer one.
func (s Snapshot) ended(p worker.Pause) bool {
	for _, q := range s.standing {
		if q.Credential == p.Credential && q.BotID == p.BotID && q.Since.Equal(p.Since) {
			return false
		}
	}
	return true
}

// Note describes the pauses for the panel; all is true if nothing can be asked.
func (w *Watch) Note() (text string, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.Wait.Pauses) > 0 {
		p := w.Wait.Pauses[0]
		text := "paused: " + Cause(p) + " since " + p.Since.Local().Format(time.TimeOnly) + ", " + NextProbe(p)
		if n := len(w.Wait.Pauses) - 1; n > 0 {
			text += fmt.Sprintf(", and %d more", n)
		}
		return text, true
	}
	if n := len(w.Seen.Held); n > 0 {
		p := w.Seen.Held[0]
		text := Subject(p) + " paused: " + Cause(p)
		if n > 1 {
			text += fmt.Sprintf(", and %d more", n-1)
		}
		return text, false
	}
	return "", false
}

func Subject(p worker.Pause) string {
	if p.BotID != "" {
		return "bot " + terminal.Short(p.BotID, 64)
	}
	return "credential " + p.Credential
}

// Cause is the code with its class, 4028 (quota), or what happened on the way to Coze.
func Cause(p worker.Pause) string {
	if p.Unreachable() {
		return exitcode.WayFault(coze.Class(p.Class)) + " (" + terminal.Short(p.Message, 120) + ")"
	}
	if p.Code == 0 {
		return p.Class
	}
	return fmt.Sprintf("%d (%s)", p.Code, p.Class)
}

func NextProbe(p worker.Pause) string {
	if left := time.Until(p.NextProbe).Round(time.Second); left > 0 {
		return "next probe in " + terminal.Rounded(left)
	}
	return "a probe is sent now"
}

func reasons(pauses []worker.Pause) string {
	all := make([]string, len(pauses))
	for i, p := range pauses {
		if all[i] = Subject(p) + ": " + ErrorOf(p).Error(); p.Unreachable() {
			all[i] = Cause(p)
		}
	}
	return strings.Join(all, "; ")
}

func ErrorOf(p worker.Pause) *coze.Error {
	e := &coze.Error{Op: "chat", Code: p.Code, Class: coze.Class(p.Class), Message: terminal.Short(p.Message, 500), LogID: p.LogID}
	return e.WithHint(p.Hint)
}

func stoppedBy(pauses []worker.Pause, waited time.Duration, again string) error {
	first := pauses[0]
	e := &exitcode.StoppedError{Class: coze.Class(first.Class), Err: ErrorOf(first), Again: again}
	if first.Unreachable() && waited >= time.Second {
		e.Err = fmt.Errorf("tried for %s: %w", terminal.Rounded(waited), e.Err)
	}
	if first.BotID != "" {
		e.Subject = Subject(first)
	}
	for _, p := range pauses[1:] {
		e.Err = fmt.Errorf("%w; %s: %w", e.Err, Subject(p), ErrorOf(p))
	}
	return e
}
