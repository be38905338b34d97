package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// syncEvery is how often the journal is brought to the disk: what a loss of power may cost.
const syncEvery = time.Second

var ErrClosed = errors.New("the run has ended")

// journalError is a journal that cannot be written, which ends the run: what it cannot write down it must not ask.
type journalError struct {
	path string
	err  error
}

func (e *journalError) Error() string {
	if _, named := errors.AsType[*fs.PathError](e.err); named {
		return e.err.Error() // it says what was done, and to which file
	}
	return "write " + e.path + ": " + e.err.Error()
}

func (e *journalError) Unwrap() error { return e.err }

func IsWriteError(err error) bool {
	_, is := errors.AsType[*journalError](err)
	return is
}

// journal is a run's memory: of its rows, where their records are, and on disk. One without a file forgets with the
// process. It is safe for concurrent use.
type Journal struct {
	path string // "" = no file
	head heading

	stop    chan struct{}
	syncing sync.WaitGroup

	mu      sync.Mutex
	file    *os.File
	size    int64
	dirty   bool  // written since the last sync
	failed  error // nothing can be written any more
	records []int64
	asks    map[int]int   // by row, where it is more than 1
	fed     int           // the last row that was given to a shared Redis
	doubts  map[int]bool  // by row, where the next ask may be of a question that has an answer
	spent   results.Usage // what was billed beyond the records' usage
	chats   map[int]Chat  // by row, of rows without a record
	limits  map[string]float64
	named   map[uint64]int64 // by the hash of bot and key: the last line that names the conversation
	seed    maphash.Seed
}

func New(path string, f *os.File) *Journal {
	return &Journal{
		path: path, file: f, stop: make(chan struct{}),
		asks: make(map[int]int), doubts: make(map[int]bool), chats: make(map[int]Chat), named: make(map[uint64]int64), seed: maphash.MakeSeed(),
	}
}

// lockPatience is how long a run waits for the one before it to be gone: the same command may be given again while the
// kernel still tears down a process that was killed.
const lockPatience = 2 * time.Second

// openJournal opens or creates the file and locks it. Another process that has it for longer is ErrLocked.
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
		// Between the two steps the other run may have ended and removed the file: then this is the lock of a file
		// that nobody else will find.
		held, err := f.Stat()
		if err == nil {
			var there os.FileInfo
			if there, err = os.Stat(path); err == nil && os.SameFile(held, there) {
				j := New(path, f)
				j.size = held.Size()
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

// begin makes the journal that of a new run.
func (j *Journal) Begin(run string, s input.Source) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.head = heading{Cozeq: entryRun, Version: journalVersion, Run: run, Input: s}
	j.records = make([]int64, s.Rows)
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

// write appends a line, or leaves the file as it was. It returns where the line begins.
func (j *Journal) write(line any) (int64, error) {
	raw, ok := line.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(line); err != nil {
			return 0, &journalError{j.path, err}
		}
	}
	if j.failed != nil {
		return 0, &journalError{j.path, j.failed}
	}
	// A full slice expression, so that the newline does not land in the caller's array.
	raw = append(raw[:len(raw):len(raw)], '\n')
	at := j.size
	if _, err := j.file.Write(raw); err != nil {
		// Half a line must not be what the next one is written behind.
		if cut := j.file.Truncate(at); cut != nil {
			j.failed = errors.Join(err, cut)
		}
		return 0, &journalError{j.path, err}
	}
	j.size += int64(len(raw))
	j.dirty = true
	return at, nil
}

// record writes down the end of a row, and what it was billed beyond its record's usage: in one write, so that a row that
// is recorded again after a kill is not billed twice.
func (j *Journal) Record(row int, line []byte, more results.Usage) error {
	if more != (results.Usage{}) {
		extra, err := json.Marshal(spent{Cozeq: entrySpent, Row: row, Usage: more})
		if err != nil {
			return &journalError{j.path, err}
		}
		line = append(append(line[:len(line):len(line)], '\n'), extra...)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	at := int64(1) // the heading is at 0, so no record is
	if j.path != "" {
		var err error
		if at, err = j.write(line); err != nil {
			return err
		}
	}
	j.records[row-1] = at
	j.spent = j.spent.Plus(more)
	delete(j.chats, row)
	return nil
}

// note writes down how far a row's chat has come.
func (j *Journal) Note(c Chat) error {
	if j.path == "" {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.write(c); err != nil {
		return err
	}
	if j.records[c.Row-1] == 0 {
		j.chats[c.Row] = c
	}
	return nil
}

// noteLimits writes down rates that were learnt, where one has moved by more than a fifth: what CUBIC does at a limit is
// less than that.
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

// void forgets a row's record, but what it was billed and whether its chat may have an answer: the row is asked again, by
// another task.
func (j *Journal) Void(row int, res *results.Result) error {
	billed := res.Usage
	j.mu.Lock()
	defer j.mu.Unlock()
	ask := max(j.asks[row], 1) + 1
	if _, err := j.write(retry{Cozeq: entryRetry, Row: row, Ask: ask, Usage: billed, PossibleDuplicate: res.PossibleDuplicate}); err != nil {
		return err
	}
	if billed != nil {
		j.spent = j.spent.Plus(*billed)
	}
	j.asks[row] = ask
	j.doubt(row, res.PossibleDuplicate)
	j.records[row-1] = 0
	return nil
}

// feed writes down that rows up to this one are about to be given to a shared Redis.
func (j *Journal) Feed(row int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if row <= j.fed {
		return nil
	}
	if j.path != "" {
		if _, err := j.write(fed{Cozeq: entryFed, Row: row}); err != nil {
			return err
		}
	}
	j.fed = row
	return nil
}

// fedTo is the last row that was given to a shared Redis.
func (j *Journal) FedTo() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fed
}

// suspect notes that the row may have been asked. Where its chat is known it is looked up.
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

// doubtful tells whether the row's earlier ask may have an answer that nobody has read.
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

func (j *Journal) InFlight(row int) (c Chat, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c, ok = j.chats[row]
	return c, ok
}

// ask is the how manieth ask of a row is the current one.
func (j *Journal) Ask(row int) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return max(1, j.asks[row])
}

// askedBefore is what was asked without a record that counts: how often, with void records, and which rows have a chat in
// flight.
func (j *Journal) AskedBefore() (void int, flying map[int]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	flying = make(map[int]bool)
	for row, c := range j.chats {
		if c.begun() {
			flying[row] = true
		}
	}
	for _, ask := range j.asks {
		void += ask - 1
	}
	return void, flying
}

func (j *Journal) TaskID(row int) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return batches.TaskID(j.head.Run, row, j.asks[row])
}

// conversation returns the conversation that an earlier run had for a bot and key; "" if none, or if that is settled.
func (j *Journal) Conversation(botID, key string) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	at, ok := j.named[j.hash(botID, key)]
	if !ok {
		return "", nil
	}
	line, err := bufio.NewReader(io.NewSectionReader(j.file, at, j.size-at)).ReadBytes('\n')
	if err != nil {
		return "", fmt.Errorf("read %s: %w", j.path, err)
	}
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return "", fmt.Errorf("read %s: %w", j.path, err)
	}
	if e.BotID != botID || e.ConversationKey != key {
		return "", nil // two names of one hash: this one gets a new conversation
	}
	return e.ConversationID, nil
}

// settle tells that Redis knows the conversation now.
func (j *Journal) Settle(botID, key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.named, j.hash(botID, key))
}

func (j *Journal) hash(botID, key string) uint64 {
	return maphash.Comparable(j.seed, [2]string{botID, key})
}

// sync brings to the disk what was written, without keeping writers waiting.
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

// close brings everything to the disk and gives the file up. Writing after it is an error.
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
		return &journalError{j.path, err}
	}
	return nil
}

// temporarySuffix marks a journal that is not put into place yet. What a killed run leaves is overwritten by the next.
const temporarySuffix = ".tmp"

// remake makes another journal take this one's place, with what fill writes into it. It is written under another name
// and put into place as a whole: one that holds half of the records would be gone on with as if the other half had never
// been asked. Both files are locked, so that the name is ours throughout.
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

// file is the journal's file; "" = it has none.
func (j *Journal) Path() string { return j.path }

// runID is the name of the run.
func (j *Journal) RunID() string { return j.head.Run }

// sha256 is that of the run's input.
func (j *Journal) InputSHA256() string { return j.head.Input.SHA256 }

// isEmpty reports whether nothing was ever written.
func (j *Journal) IsEmpty() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size == 0
}

// learnt are the rates that earlier runs have learnt.
func (j *Journal) Learnt() map[string]float64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.limits)
}

// billed is what was billed beyond the usage in the records.
func (j *Journal) Billed() results.Usage {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.spent
}

// setAsk notes which ask of the row is the current one.
func (j *Journal) SetAsk(row, ask int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asks[row] = ask
}

// grow makes room for so many rows.
func (j *Journal) Grow(rows int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.records) < rows {
		j.records = append(j.records, 0)
	}
}

// fail makes every further write fail.
func (j *Journal) Fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failed = err
}
