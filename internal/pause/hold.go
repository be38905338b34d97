package pause

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/redis/go-redis/v9"
)

// Hold is why a question would wait in its queue now.
type Hold struct {
	Pause        // the pause; zero if an operator has paused the queue
	Queue string // what the operator has paused; empty: nothing
	Due   bool   // of a pause's probe: the next question shows whether it is over
}

func (h *Hold) Reason() string {
	switch {
	case h.Queue != "":
		return "queue " + h.Queue + " is paused by an operator"
	case h.BotID != "":
		return "bot " + h.BotID + " is paused: " + h.Message
	}
	return "the credential is paused: " + h.Message
}

// Holds tells what holds questions. It serves callers that ask for each question: most of the time nothing is paused, and then
// it asks Redis once in lookEvery.
type Holds struct {
	Redis redis.UniversalClient

	mu     sync.Mutex
	queues map[string]look
}

// lookEvery is how old a look may be. A question that is taken just after a pause has begun only waits.
const lookEvery = time.Second

// look is what was seen of a queue.
type look struct {
	at       time.Time
	operator bool                // it is an operator's pause
	listed   map[string]struct{} // keys of pauses
	serving  []Served
}

// Of returns what holds a question of this queue, credential and bot; nil: nothing does, as far as is known. A queue has
// several workers, and a name may be another credential at each: the question is held if none of them asks it.
func (h *Holds) Of(ctx context.Context, queue, credential, bot string) (held *Hold, err error) {
	seen, err := h.look(ctx, queue)
	if err != nil {
		return nil, err
	}
	if seen.operator {
		return &Hold{Queue: queue}, nil
	}
	if len(seen.listed) == 0 {
		return nil, nil
	}
	for _, c := range seen.serving {
		if c.Name != credential {
			continue
		}
		one, err := h.ofCredential(ctx, seen, c.ID, bot)
		if one == nil || err != nil {
			return nil, err
		}
		if held == nil || one.NextProbe.Before(held.NextProbe) {
			held = one
		}
	}
	return held, nil
}

// ofCredential looks at the two pauses that may hold a bot's question. The longer one counts.
func (h *Holds) ofCredential(ctx context.Context, seen look, id, bot string) (held *Hold, err error) {
	for _, key := range []string{rediskey.Pause(id, ""), rediskey.Pause(id, bot)} {
		if _, listed := seen.listed[key]; !listed {
			continue
		}
		p, ok, err := Store{h.Redis}.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		if ok && (held == nil || held.NextProbe.Before(p.NextProbe)) {
			held = &Hold{Pause: p, Due: !p.NextProbe.After(time.Now())}
		}
	}
	return held, nil
}

func (h *Holds) look(ctx context.Context, queue string) (look, error) {
	h.mu.Lock()
	seen := h.queues[queue]
	h.mu.Unlock()
	if time.Since(seen.at) < lookEvery {
		return seen, nil
	}
	seen = look{at: time.Now(), listed: make(map[string]struct{})}
	keys, err := Store{h.Redis}.keys(ctx)
	if err != nil {
		return seen, err
	}
	for _, key := range keys {
		seen.listed[key] = struct{}{}
	}
	p, paused, err := PausedQueue(ctx, h.Redis, queue)
	if err != nil {
		return seen, err
	}
	seen.operator = paused && len(p.Credentials) == 0
	if len(keys) > 0 {
		if seen.serving, err = servingQueue(ctx, h.Redis, queue); err != nil {
			return seen, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.queues, func(_ string, l look) bool { return time.Since(l.at) > time.Minute })
	if h.queues == nil {
		h.queues = make(map[string]look)
	}
	h.queues[queue] = seen
	return seen, nil
}

// OfQueue returns what holds questions of this queue, though perhaps not all of them: an operator's pause, or that of a
// credential that serves it, or of a bot.
func (h *Holds) OfQueue(ctx context.Context, queue string) (held *Hold, err error) {
	seen, err := h.look(ctx, queue)
	if err != nil {
		return nil, err
	}
	if seen.operator {
		return &Hold{Queue: queue}, nil
	}
	for key := range seen.listed {
		if !slices.ContainsFunc(seen.serving, func(c Served) bool { return strings.HasPrefix(key, rediskey.Pause(c.ID, "")) }) {
			continue
		}
		p, ok, err := Store{h.Redis}.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		if ok && (held == nil || p.BotID == "" && held.BotID != "") {
			held = &Hold{Pause: p, Due: !p.NextProbe.After(time.Now())}
		}
	}
	return held, nil
}
