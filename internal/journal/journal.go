package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// syncEvery is how often the journal is synced to disk: what a loss of power may cost.
const syncEvery = time.Second

// Journal is a run's memory. It is safe for concurrent use.
type Journal struct {
	path string // "" = it is in memory only
	head heading

	stop    chan struct{}
	syncing sync.WaitGroup

	mu      sync.Mutex
	file    *os.File
	size    int64
	dirty   bool          // written since the last sync
	failed  error         // nothing can be written any more
	records []int64       // by row, where its record begins; 0 = it has none
	taken   []bool        // by row, whether its record was acknowledged: see Take
	asks    map[int]int   // by row, where it is more than 1
	fed     int           // the last row that was given to a shared Redis
	doubts  map[int]bool  // rows whose next ask may be of a question that has an answer
	spent   results.Usage // what was billed beyond the records' usage
	chats   map[int]Chat  // by row, of rows without a record
	limits  map[string]float64
	uploads []Upload         // of earlier runs
	named   map[uint64]int64 // by the hash of bot and key: the last line that names the conversation
	seed    maphash.Seed
}

// InMemory is a journal without a file, which the process forgets when it ends.
func InMemory() *Journal {
	return &Journal{
		stop: make(chan struct{}), asks: make(map[int]int), doubts: make(map[int]bool), chats: make(map[int]Chat),
		named: make(map[uint64]int64), seed: maphash.MakeSeed(),
	}
}

// lockPatience is how long a run waits for the one before it to be gone: the same command may be given again while the
// kernel still tears down a process that was killed.
const lockPatience = 2 * time.Second

// Open opens or creates the file and locks it. It is ErrLocked if another process holds the lock for longer.
func Open(ctx context.Context, path string) (*Journal, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
		if err != nil {
			return nil, err
		}
		err = lock(f)
		for since := time.Now(); err == ErrLocked && time.Since(since) < lockPatience; err = lock(f) {
			select {
			case <-ctx.Done():
				return nil, errors.Join(context.Cause(ctx), f.Close())
			case <-time.After(50 * time.Millisecond):
			}
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
		}
		// Between the two steps the other run may have ended and removed the file: then this is the lock of a file that
		// has no name any more.
		held, err := f.Stat()
		if err == nil {
			var named os.FileInfo
			if named, err = os.Stat(path); err == nil && os.SameFile(held, named) {
				j := InMemory()
				j.path, j.file, j.size = path, f, held.Size()
				j.syncing.Go(j.sync)
				return j, nil
			}
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(err, f.Close())
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

func (j *Journal) Begin(run string, s input.Source) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.head = heading{Cozeq: entryRun, Version: version, Run: run, Input: s}
	j.records, j.taken = make([]int64, s.Rows), make([]bool, s.Rows)
	if j.file == nil {
		return nil
	}
	if err := j.file.Truncate(0); err != nil {
		return fmt.Errorf("begin %s: %w", j.path, err)
	}
	j.size = 0
	_, err := j.write(j.head)
	return err
}

// temporarySuffix marks a journal that is not in place yet. What a killed run leaves is overwritten by the next.
const temporarySuffix = ".tmp"

// Remake puts another journal in this one's place, with what fill writes into it. It is written under another name and
// then renamed: a run would resume from one with half of the records as if the other half had never been asked. Both files
// are locked, so that no other run can take the name meanwhile.
func (j *Journal) Remake(ctx context.Context, fill func(fresh *Journal) error) (*Journal, error) {
	fresh, err := Open(ctx, j.path+temporarySuffix)
	if err != nil {
		return nil, err
	}
	err = fill(fresh)
	if err == nil {
		err = fresh.file.Sync()
	}
	if err == nil {
		err = os.Rename(fresh.path, j.path)
	}
	if err != nil {
		return nil, errors.Join(err, fresh.Close(), os.Remove(fresh.path))
	}
	fresh.path = j.path
	return fresh, j.Close()
}

// Path is the journal's file; "" = it has none.
func (j *Journal) Path() string { return j.path }

func (j *Journal) RunID() string { return j.head.Run }

func (j *Journal) InputSHA256() string { return j.head.Input.SHA256 }

// IsEmpty reports whether nothing was ever written.
func (j *Journal) IsEmpty() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size == 0
}

// write appends a line, or leaves the file as it was. It returns where the line begins. mu is held.
func (j *Journal) write(line any) (int64, error) {
	if j.path == "" {
		return 1, nil // no record is at 0, where the heading is
	}
	raw, ok := line.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(line); err != nil {
			return 0, &writeError{j.path, err}
		}
	}
	if j.failed != nil {
		return 0, &writeError{j.path, j.failed}
	}
	// A full slice expression, so that the newline does not land in the caller's array.
	raw = append(raw[:len(raw):len(raw)], '\n')
	at := j.size
	if _, err := j.file.Write(raw); err != nil {
		// The next line must not be written behind half a line.
		if cut := j.file.Truncate(at); cut != nil {
			j.failed = errors.Join(err, cut)
		}
		return 0, &writeError{j.path, err}
	}
	j.size += int64(len(raw))
	j.dirty = true
	return at, nil
}

// Record writes down the end of a row, and what it was billed beyond its record's usage: in one write, so that a row that
// is recorded again after a kill is not billed twice.
func (j *Journal) Record(row int, line []byte, more results.Usage) error {
	if more != (results.Usage{}) {
		extra, err := json.Marshal(spent{Cozeq: entrySpent, Row: row, Usage: more})
		if err != nil {
			return &writeError{j.path, err}
		}
		line = append(append(line[:len(line):len(line)], '\n'), extra...)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	at, err := j.write(line)
	if err != nil {
		return err
	}
	j.records[row-1] = at
	j.spent = j.spent.Plus(more)
	delete(j.chats, row)
	return nil
}

// Take writes down that somebody has acknowledged the row's record.
func (j *Journal) Take(row int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.write(rowEntry{entryTaken, row}); err != nil {
		return err
	}
	j.taken[row-1] = true
	return nil
}

// Untaken lists the rows with a record that nobody has acknowledged.
func (j *Journal) Untaken() (rows []int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, at := range j.records {
		if at != 0 && !j.taken[i] {
			rows = append(rows, i+1)
		}
	}
	return rows
}

// Note writes down how far a row's chat has come.
func (j *Journal) Note(c Chat) error {
	if j.path == "" {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	c.Cozeq = entryChat
	if _, err := j.write(c); err != nil {
		return err
	}
	if j.records[c.Row-1] == 0 {
		j.setChat(c)
	}
	return nil
}

// NoteLimits writes down rates that were learnt, if one has moved by more than a fifth: at a limit CUBIC moves by less.
func (j *Journal) NoteLimits(learnt map[string]float64) error {
	if j.path == "" {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	moved := false
	for credential, rate := range learnt {
		known := j.limits[credential]
		moved = moved || rate > 1.2*known || rate < known/1.2
	}
	if !moved {
		return nil
	}
	if _, err := j.write(limits{Cozeq: entryLimits, Limits: learnt}); err != nil {
		return err
	}
	j.limits = maps.Clone(learnt)
	return nil
}

// Limits are the rates that earlier runs have learnt, in calls a second by credential.
func (j *Journal) Limits() map[string]float64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.limits)
}

// Void forgets a row's record, but not what it was billed and whether its chat may have an answer. The row is asked again,
// by another task.
func (j *Journal) Void(row int, res *results.Result) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := retry{
		Cozeq: entryRetry, Row: row, Ask: max(j.asks[row], 1) + 1, Usage: res.Usage, PossibleDuplicate: res.PossibleDuplicate,
	}
	if _, err := j.write(e); err != nil {
		return err
	}
	j.void(row, e.Ask, e.Usage, e.PossibleDuplicate)
	return nil
}

// void is called with mu held.
func (j *Journal) void(row, ask int, billed *results.Usage, doubtful bool) {
	if billed != nil {
		j.spent = j.spent.Plus(*billed)
	}
	j.asks[row] = ask
	j.doubt(row, doubtful)
	j.records[row-1], j.taken[row-1] = 0, false
}

// Feed writes down that rows up to this one are about to be given to a shared Redis.
func (j *Journal) Feed(row int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if row <= j.fed {
		return nil
	}
	if _, err := j.write(rowEntry{entryFed, row}); err != nil {
		return err
	}
	j.fed = row
	return nil
}

// FedTo is the last row that was given to a shared Redis.
func (j *Journal) FedTo() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fed
}

// Suspect notes that the row may have been asked, unless its chat is known: that is looked up.
func (j *Journal) Suspect(row int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c, ok := j.chats[row]; !ok || !c.begun() {
		j.doubt(row, true)
	}
}

// doubt is called with mu held.
func (j *Journal) doubt(row int, is bool) {
	delete(j.doubts, row)
	if is {
		j.doubts[row] = true
	}
}

// Doubtful reports whether an earlier ask of the row may have an answer that was never read.
func (j *Journal) Doubtful(row int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.doubts[row]
}

func (j *Journal) Ended(row int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.records[row-1] != 0
}

func (j *Journal) Grow(rows int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.records) < rows {
		j.records, j.taken = append(j.records, 0), append(j.taken, false)
	}
}

func (j *Journal) InFlight(row int) (c Chat, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c, ok = j.chats[row]
	return c, ok
}

// Ask is the number of a row's current task: 1, or more if the row is asked again.
func (j *Journal) Ask(row int) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return max(1, j.asks[row])
}

// SetAsk sets the number of a row's current task.
func (j *Journal) SetAsk(row, ask int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asks[row] = ask
}

func (j *Journal) TaskID(row int) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return batches.TaskID(j.head.Run, row, j.asks[row])
}

// AskedBefore is what was asked and has no record: how often rows were asked whose record is void, and which rows have a
// chat in flight.
func (j *Journal) AskedBefore() (void int, begun map[int]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	begun = make(map[int]bool)
	for row, c := range j.chats {
		if c.begun() {
			begun[row] = true
		}
	}
	for _, ask := range j.asks {
		void += ask - 1
	}
	return void, begun
}

// Billed is what was billed beyond the usage in the records.
func (j *Journal) Billed() results.Usage {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.spent
}

// Conversation returns the conversation that an earlier run had for a bot and key; "" if none, or if that is settled.
func (j *Journal) Conversation(botID, key string) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	at, ok := j.named[j.hash(botID, key)]
	if !ok {
		return "", nil
	}
	line, err := bufio.NewReader(io.NewSectionReader(j.file, at, j.size-at)).ReadBytes('\n')
	var e entry
	if err == nil {
		err = json.Unmarshal(line, &e)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", j.path, err)
	}
	if e.BotID != botID || e.ConversationKey != key {
		return "", nil // two names with one hash: this one gets a new conversation
	}
	return e.ConversationID, nil
}

// Settle notes that Redis knows the conversation now.
func (j *Journal) Settle(botID, key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.named, j.hash(botID, key))
}

func (j *Journal) hash(botID, key string) uint64 {
	return maphash.Comparable(j.seed, [2]string{botID, key})
}

// sync syncs the file once a second, without keeping writers waiting.
func (j *Journal) sync() {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.stop:
			return
		case <-tick.C:
		}
		j.mu.Lock()
		dirty, f := j.dirty, j.file
		j.dirty = false
		j.mu.Unlock()
		if !dirty {
			continue
		}
		if err := f.Sync(); err != nil {
			j.Fail(err)
		}
	}
}

// Fail makes every further write fail.
func (j *Journal) Fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failed = err
}

// Close syncs and closes the file. Writing after it is an error.
func (j *Journal) Close() error {
	if j.path == "" {
		return nil
	}
	close(j.stop)
	j.syncing.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	err := errors.Join(j.failed, j.file.Sync(), j.file.Close())
	j.failed = ErrClosed
	if err != nil {
		return &writeError{j.path, err}
	}
	return nil
}
