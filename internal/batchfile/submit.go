package batchfile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redisretry"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Submission puts an input into a shared Redis as a detached batch, which needs no process of ours to wait for it.
type Submission struct {
	Input   *input.Input
	Batches *batches.Client

	// Batch says how the questions are asked. What the input tells is filled in by Run, as are an empty ID, with BatchID, and
	// an empty Name.
	Batch batches.Spec

	// Upload uploads a file of a row, by its path, and returns its id at Coze. The input names files only if there is one.
	Upload func(ctx context.Context, path, digest string) (id string, err error)

	// Refused counts the rows whose files could not be uploaded: they fail alone. FirstRefused is about one of them.
	// Corrected counts those of an earlier submit whose files could be uploaded now: they are asked again. Run sets them.
	Refused      int
	FirstRefused error
	Corrected    int

	// OnProgress, if it is not nil, gets how many of the rows are in Redis, after each chunk.
	OnProgress func(rows int)
}

// TakenError says that a batch of that id is there, made of other questions or by another tenant.
type TakenError struct {
	ID   string
	Name string // of its file; "" if that is none of the caller's business
}

func (e *TakenError) Error() string { return e.Unwrap().Error() }

// Unwrap returns it as a *usage.Error.
func (e *TakenError) Unwrap() error {
	what := fmt.Sprintf("batch %s is there, and was made of other questions", e.ID)
	if e.Name != "" {
		what += fmt.Sprintf(" (%q)", e.Name)
	}
	return &usage.Error{What: what, Hint: "choose another --id"}
}

// batchIDs look like the names of runs: ten small letters and digits, 50 bits.
var batchIDs = base32.StdEncoding.WithPadding(base32.NoPadding)

// BatchID is the name of the nth batch of one identity, from 1. Submitting the same input again leads to the same name, and
// so to the batch that is there already.
func BatchID(identity string, nth int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", identity, nth))
	return strings.ToLower(batchIDs.EncodeToString(sum[:])[:10])
}

// Run makes the batch, or goes on with one that was left half-way, and returns it as it then stands. already is true for
// one that had been submitted as a whole, or was canceled: nothing is enqueued then, but what Redis has lost of it. A
// name that is another input's, or another tenant's, is a *TakenError.
//
// Every step may be repeated: the ids of batch and tasks come from the input alone, and a chunk that is there already is
// left as it is. So whatever ends Run, the next one with the same input goes on where this one was. It also uploads again the
// files that were refused before.
func (s *Submission) Run(ctx context.Context) (b *batches.Status, already bool, err error) {
	stats, err := s.Input.Check(ctx)
	if err != nil {
		return nil, false, err
	}
	form, err := s.describe(ctx, stats)
	if err != nil {
		return nil, false, err
	}
	b, created, err := s.Batches.Create(ctx, s.Batch)
	if err != nil {
		return nil, false, err
	}
	if !created && (b.SHA256 != s.Batch.SHA256 || b.Rows != s.Batch.Rows || b.Tenant != s.Batch.Tenant) {
		taken := &TakenError{ID: b.ID}
		if b.Tenant == s.Batch.Tenant {
			taken.Name = b.Name
		}
		return nil, false, taken
	}
	if !created && (!b.SubmittedAt.IsZero() || !b.CanceledAt.IsZero()) {
		if b.Counts.Open() > 0 {
			// What Redis has lost is put back: perhaps that is why it is submitted again.
			if _, err := s.Batches.Repair(ctx, b.ID); err != nil {
				return b, true, err
			}
		}
		if err := s.correct(ctx, b); err != nil {
			return b, true, err
		}
		b, err = s.Batches.Get(ctx, b.ID)
		return b, true, err
	}
	if err := s.correct(ctx, b); err != nil {
		return b, false, err
	}
	if err := s.feed(ctx, b, form); err != nil {
		return b, false, err
	}
	err = redisretry.Do(ctx, true, func() error { return s.Batches.Submitted(ctx, b.ID) })
	if err != nil {
		return b, false, err
	}
	b, err = s.Batches.Get(ctx, b.ID)
	return b, false, err
}

// describe fills in what the input tells.
func (s *Submission) describe(ctx context.Context, stats input.Stats) (form input.Form, err error) {
	form, names, err := s.Input.Form(ctx)
	if err != nil {
		return form, err
	}
	text, err := json.Marshal(form)
	if err != nil {
		return form, fmt.Errorf("describe %s: %w", s.Input.Name(), err)
	}
	b := &s.Batch
	b.Kind, b.Rows, b.SHA256 = batches.KindDetached, stats.Rows, s.Input.Identity()
	if b.Name == "" {
		b.Name = filepath.Base(s.Input.Name())
	}
	b.Format, b.BotID, b.Columns, b.Shape = string(s.Input.Format()), s.Input.BotID(), names, string(text)
	if b.ID == "" {
		b.ID = BatchID(b.SHA256, 1)
	}
	return form, nil
}

// feed adds the rows that are not in Redis yet, in chunks.
func (s *Submission) feed(ctx context.Context, b *batches.Status, form input.Form) error {
	columns, err := s.Input.OutputColumns(ctx)
	if err != nil {
		return err
	}
	chunk := make([]batches.Row, 0, batches.ChunkRows)
	var attached []*input.Row // those of the chunk that have files
	n := 0
	flush := func() error {
		if len(chunk) == 0 {
			return nil
		}
		if err := s.upload(ctx, chunk, attached); err != nil {
			return err
		}
		err := redisretry.Do(ctx, n > batches.ChunkRows, func() error { return s.Batches.Add(ctx, b.ID, chunk) })
		if err != nil {
			return err
		}
		chunk, attached = chunk[:0], nil
		if s.OnProgress != nil {
			s.OnProgress(n)
		}
		return nil
	}
	for row, err := range s.Input.Rows() {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if n++; n <= b.Enqueued {
			continue
		}
		kept, err := form.Keep(columns, row)
		if err != nil {
			return fmt.Errorf("row %d: %w", row.N, err)
		}
		chunk = append(chunk, batches.Row{N: row.N, CustomID: row.CustomID, Columns: kept, Chat: row.Chat})
		if len(row.Paths()) > 0 {
			attached = append(attached, row)
		}
		if len(chunk) == batches.ChunkRows {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// upload uploads the files of some rows of a chunk. It comes before the chunk is in Redis: who dies here has asked nothing of it,
// and the next submit finds what was uploaded by its content. A row whose file is refused goes into the batch with the reason, and
// fails in its turn. What concerns all files ends the submit, which goes on at this chunk when it is given again.
func (s *Submission) upload(ctx context.Context, chunk []batches.Row, attached []*input.Row) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var uploads sync.WaitGroup
	var mu sync.Mutex
	free := make(chan struct{}, attachment.Concurrency)
	for _, row := range attached {
		free <- struct{}{}
		uploads.Go(func() {
			defer func() { <-free }()
			err := row.Upload(ctx, s.Upload)
			if bad, ok := errors.AsType[*attachment.FileError](err); ok {
				row.Chat.Refused = bad.Failure()
				row.Chat.Refused.Hint = "Correct the file or its path, and give the same 'cozeq batch submit' again: it asks the row."
				mu.Lock()
				defer mu.Unlock()
				s.Refused++
				s.FirstRefused = cmp.Or(s.FirstRefused, fmt.Errorf("row %d: %w", row.N, err))
			} else if err != nil {
				cancel(fmt.Errorf("row %d: %w", row.N, err)) // the first one counts
			}
		})
	}
	uploads.Wait()
	for i, next := 0, 0; next < len(attached); i++ { // both are in the order of the input
		if chunk[i].N == attached[next].N {
			chunk[i].Chat = attached[next].Chat
			next++
		}
	}
	return context.Cause(ctx)
}

// correct uploads the files of rows that have failed, a chunk of rows at a time, and has those asked that were refused before.
func (s *Submission) correct(ctx context.Context, b *batches.Status) error {
	if s.Upload == nil || b.Counts.Failed == 0 || !b.CanceledAt.IsZero() {
		return nil
	}
	states, err := s.Batches.States(ctx, b.ID)
	if err != nil {
		return err
	}
	var chunk []batches.Row
	var attached []*input.Row
	flush := func() error {
		if len(chunk) == 0 {
			return nil
		}
		if err := s.upload(ctx, chunk, attached); err != nil {
			return err
		}
		n, err := s.Batches.Correct(ctx, b.ID, slices.DeleteFunc(chunk, func(r batches.Row) bool { return r.Chat.Refused != nil }))
		s.Corrected += n
		chunk, attached = nil, nil
		return err
	}
	for row, err := range s.Input.Rows() {
		if err != nil {
			return err
		}
		if row.N > b.Enqueued {
			break
		}
		if len(row.Paths()) == 0 || states.Status(row.N) != results.Failed {
			continue
		}
		if len(chunk) > 0 && (row.N-1)/batches.ChunkRows != (chunk[0].N-1)/batches.ChunkRows {
			if err := flush(); err != nil {
				return err
			}
		}
		chunk, attached = append(chunk, batches.Row{N: row.N, Chat: row.Chat}), append(attached, row)
	}
	return flush()
}
