package tasks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/results"
)

// Item is a chat to be enqueued.
type Item struct {
	Chat    *Chat
	Options Options
}

// Enqueued is what became of an Item: what Enqueue would have returned for it.
type Enqueued struct {
	ID  string
	Err error
}

// One pipeline takes so many tasks and, roughly, so many bytes of messages, and the
// records of so many chunks are written ahead. 100 tasks keep Redis busy for a
// millisecond at a time; more are no quicker.
const (
	enqueueChunk = 100
	enqueueAhead = 2
	enqueueBytes = 4 << 20
)

// EnqueueAll is Enqueue for many chats in their order, and returns what became of each,
// aligned with items. It takes two round trips for some 100 of them, five where they
// have conversations.
//
// Turns of one conversation keep their order, in repeated calls too: where a turn could
// not be enqueued, and may be if the call is repeated, those behind it in its
// conversation are not either and get its error.
func (c *Client) EnqueueAll(ctx context.Context, items []Item) []Enqueued {
	parent := traceParent(ctx)
	enqueued := make([]Enqueued, 0, len(items))
	broken := make(map[string]error)
	if len(items) <= enqueueChunk {
		all := c.recordAll(ctx, items, parent)
		c.enqueue(ctx, all, broken)
		return became(enqueued, all)
	}
	// The records of the next chunks are written while this one is enqueued: they have no
	// order, and so Redis and this process work at the same time.
	recorded := make(chan chan []*arrival, enqueueAhead)
	go func() {
		defer close(recorded)
		for chunk := range slices.Chunk(items, enqueueChunk) {
			all := make(chan []*arrival, 1)
			recorded <- all
			go func() { all <- c.recordAll(ctx, chunk, parent) }()
		}
	}()
	for next := range recorded {
		all := <-next
		c.enqueue(ctx, all, broken)
		enqueued = became(enqueued, all)
	}
	return enqueued
}

func became(enqueued []Enqueued, all []*arrival) []Enqueued {
	for _, a := range all {
		enqueued = append(enqueued, Enqueued{ID: a.o.ID, Err: a.err})
	}
	return enqueued
}

// arrival is a task on its way into the queue.
type arrival struct {
	turn
	o    Options
	wire Chat // without the messages that are in body

	payload []byte // without the place in the lane
	body    []byte

	known    results.Status // of the record that was there before; "" = none was
	conflict bool           // asynq had a task of its id
	waits    bool           // it is in the queue, far ahead
	err      error          // it goes no further
}

func (c *Client) newArrival(item Item, parent string) *arrival {
	a := &arrival{o: item.Options, wire: *item.Chat}
	a.wire.TraceParent = cmp.Or(a.wire.TraceParent, parent)
	a.err = a.prepare(c.results.Keys)
	return a
}

func (a *arrival) prepare(keys *results.Keys) error {
	if err := a.o.complete(); err != nil {
		return err
	}
	if a.wire.UserID == "" {
		a.wire.UserID = DefaultUserID
	}
	if err := a.wire.Validate(); err != nil {
		return err
	}
	queue, err := Shard(a.o.Queue, cmp.Or(a.wire.Lane(), a.o.ID))
	if err != nil {
		return err
	}
	a.o.Queue = queue
	a.place = Place{Lane: a.wire.Lane(), Queue: queue, ID: a.o.ID}
	a.seq = a.o.laneSeq
	return a.pack(keys)
}

// pack makes the payload and the body.
func (a *arrival) pack(keys *results.Keys) (err error) {
	if a.payload, err = a.wire.encode(); err != nil {
		return err
	}
	if len(a.payload) > maxInline { // else its messages are not, either
		if a.body, err = a.wire.split(); err != nil {
			return err
		}
	}
	if a.body == nil && keys == nil {
		return nil
	}
	if a.body != nil {
		a.body = []byte(keys.Seal(a.o.ID, fieldBody, string(a.body)))
	}
	if err := a.wire.seal(keys, a.o.ID); err != nil {
		return err
	}
	a.payload, err = a.wire.encode()
	return err
}

func (a *arrival) entry() results.Entry {
	e := results.Entry{Result: a.wire.Record(a.o.ID, a.o.Queue), Body: a.body, Kept: a.o.kept, Keep: a.o.Keep, AskedAt: a.o.AskedAt}
	e.ChatID, e.PossibleDuplicate = a.o.ChatID, a.o.PossibleDuplicate
	if a.o.ConversationID != "" {
		e.ConversationID = a.o.ConversationID
	}
	return e
}

// going are those that are on their way still.
func going(all []*arrival) []*arrival {
	return slices.DeleteFunc(slices.Clone(all), func(a *arrival) bool { return a.err != nil })
}

// recordAll checks chats and writes their records, as many bytes at a time as Redis
// takes well.
func (c *Client) recordAll(ctx context.Context, items []Item, parent string) []*arrival {
	all := make([]*arrival, len(items))
	for i, item := range items {
		all[i] = c.newArrival(item, parent)
	}
	for rest := going(all); len(rest) > 0; {
		n := 0
		for size := 0; n < len(rest) && size < enqueueBytes; n++ {
			size += len(rest[n].body)
		}
		c.create(ctx, rest[:n])
		rest = rest[n:]
	}
	return all
}

// enqueue takes a chunk with records through the steps that are left, each step for all
// of them before the next. What can die between two steps is the same as for one task
// alone (see Lanes, and docs/architecture.md): every step may be done twice.
func (c *Client) enqueue(ctx context.Context, all []*arrival, broken map[string]error) {
	c.goOn(ctx, going(all))
	breakLanes(all, broken)
	c.join(ctx, going(all), broken)
	c.submit(ctx, going(all))
	c.runHeads(ctx, going(all))
	// go-redis sends a script again when its reply was lost, and then asynq takes our
	// own task for a conflict: it is one only if the record was there before.
	for _, a := range going(all) {
		if a.known != "" && a.conflict {
			a.err = duplicate(a.o.ID)
		}
	}
}

// create writes the records.
func (c *Client) create(ctx context.Context, all []*arrival) {
	entries := make([]results.Entry, len(all))
	for i, a := range all {
		entries[i] = a.entry()
	}
	statuses, errs := c.results.CreateMany(ctx, entries)
	for i, a := range all {
		a.known, a.err = statuses[i], errs[i]
		if a.known.Terminal() {
			a.err = duplicate(a.o.ID)
		}
	}
}

// goOn prepares tasks whose records were there before. Each stays in the queue that
// its record names: asynq's ids are unique in one queue only, and two tasks of one id
// would fence each other. A record of another lane is another task's.
func (c *Client) goOn(ctx context.Context, all []*arrival) {
	all = slices.DeleteFunc(all, func(a *arrival) bool { return a.known == "" })
	ids := make([]string, len(all))
	for i, a := range all {
		ids[i] = a.o.ID
	}
	records, err := c.results.GetMany(ctx, ids)
	for i, a := range all {
		switch {
		case err != nil:
			a.err = err
		case records[i] == nil: // it has just lapsed
		case records[i].Status.Terminal(), records[i].Lane != a.place.Lane: // it may have ended just now
			a.err = duplicate(a.o.ID)
		case records[i].Queue != "":
			a.o.Queue = records[i].Queue
			a.place.Queue = a.o.Queue
		}
	}
}

// breakLanes stops the turns behind one that may yet be enqueued if the call is
// repeated: they must not get in before it.
func breakLanes(all []*arrival, broken map[string]error) {
	for _, a := range all {
		if a.place.Lane == "" {
			continue
		}
		_, invalid := errors.AsType[*InvalidError](a.err)
		switch {
		case a.err != nil && !invalid && !errors.Is(a.err, ErrDuplicate):
			broken[a.place.Lane] = a.err
		case a.err == nil && broken[a.place.Lane] != nil:
			a.err = fmt.Errorf("not enqueued before an earlier turn of its conversation is: %w", broken[a.place.Lane])
		}
	}
}

// join puts the tasks into their lanes. A task without a lane is the head of its own.
func (c *Client) join(ctx context.Context, all []*arrival, broken map[string]error) {
	var lanes []string
	turns := make(map[string][]*turn)
	for _, a := range all {
		if a.place.Lane == "" {
			a.head = true
			continue
		}
		if turns[a.place.Lane] == nil {
			lanes = append(lanes, a.place.Lane)
		}
		turns[a.place.Lane] = append(turns[a.place.Lane], &a.turn)
	}
	if len(lanes) == 0 {
		return
	}
	errs := c.lanes.join(ctx, lanes, turns)
	for _, a := range all {
		if err := errs[a.place.Lane]; err != nil {
			a.err, broken[a.place.Lane] = err, err
		} else if a.o.instead != (Place{}) {
			// In its lane, and not in the queue yet: runHeads runs it.
			a.err = c.lanes.Leave(ctx, a.o.instead)
		}
	}
}

// submit hands the tasks to asynq.
func (c *Client) submit(ctx context.Context, all []*arrival) {
	c.handOver(ctx, all)
	var freed []*arrival
	for _, a := range all {
		if !a.conflict {
			continue
		}
		free, waits, err := c.look(ctx, a.place)
		a.waits, a.err = waits, err
		if free {
			freed = append(freed, a)
		}
	}
	if len(freed) > 0 {
		c.handOver(ctx, freed)
	}
}

func (c *Client) handOver(ctx context.Context, all []*arrival) {
	submissions := make([]*submission, 0, len(all))
	sent := make([]*arrival, 0, len(all))
	for _, a := range all {
		s, err := a.submission()
		if err != nil {
			a.err = err
			continue
		}
		submissions, sent = append(submissions, s), append(sent, a)
	}
	c.bulk.submit(ctx, submissions)
	for i, a := range sent {
		a.conflict = errors.Is(submissions[i].err, asynq.ErrTaskIDConflict)
		a.waits = !a.head
		if err := submissions[i].err; err != nil && !a.conflict {
			a.err = fmt.Errorf("enqueue %s: %w", a.o.ID, err)
		}
	}
}

func (a *arrival) submission() (*submission, error) {
	payload := a.payload
	if a.place.Lane != "" {
		a.wire.LaneSeq = a.seq
		var err error
		if payload, err = a.wire.encode(); err != nil {
			return nil, err
		}
	}
	options := []asynq.Option{
		asynq.TaskID(a.o.ID),
		asynq.Queue(a.o.Queue),
		// One more than the budget: asynq archives a task whose retries are used
		// up even when the error is not a failure. The worker ends it before that.
		asynq.MaxRetry(a.o.Attempts + 1),
		asynq.Timeout(a.o.Timeout + Grace),
	}
	if a.o.Retention > 0 {
		options = append(options, asynq.Retention(a.o.Retention))
	}
	if !a.head {
		options = append(options, asynq.ProcessIn(far))
	}
	return &submission{task: asynq.NewTask(TypeChat, payload), options: options}, nil
}

// runHeads looks at the lanes of those who wait: the head may have left before our
// task was there to be run, see Lanes.
func (c *Client) runHeads(ctx context.Context, all []*arrival) {
	all = slices.DeleteFunc(all, func(a *arrival) bool { return a.place.Lane == "" || !a.waits })
	if len(all) == 0 {
		return
	}
	lanes := make([]string, len(all))
	for i, a := range all {
		lanes[i] = a.place.Lane
	}
	slices.Sort(lanes)
	lanes = slices.Compact(lanes)
	places, err := c.lanes.heads(ctx, lanes)
	heads := make(map[Place]bool, len(places))
	for _, place := range places {
		heads[place] = true
	}
	for _, a := range all {
		if a.err = err; err == nil && heads[a.place] {
			a.err = c.lanes.Run(ctx, a.place)
		}
	}
}
