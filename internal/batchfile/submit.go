package batchfile

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/redisretry"
	"github.com/cozeq/cozeq/internal/usage"
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
// left as it is. So whatever ends Run, the next one with the same input goes on where this one was.
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
		if b.Counts.Open() == 0 {
			return b, true, nil
		}
		// What Redis has lost is put back: perhaps that is why it is submitted again.
		if _, err := s.Batches.Repair(ctx, b.ID); err != nil {
			return b, true, err
		}
		b, err = s.Batches.Get(ctx, b.ID)
		return b, true, err
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
// and the next submit finds what was uploaded by its content, or uploads it again. A file that is refused ends the submit, which
// goes on at this chunk when it is given again: a batch has all rows of its file.
func (s *Submission) upload(ctx context.Context, chunk []batches.Row, attached []*input.Row) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var uploads sync.WaitGroup
	free := make(chan struct{}, attachment.Concurrency)
	for _, row := range attached {
		free <- struct{}{}
		uploads.Go(func() {
			defer func() { <-free }()
			if err := row.Upload(ctx, s.Upload); err != nil {
				cancel(fmt.Errorf("row %d: %w", row.N, err)) // the first one counts
				return
			}
			chunk[row.N-chunk[0].N].Chat = row.Chat
		})
	}
	uploads.Wait()
	return context.Cause(ctx)
}
