package filerun

import (
	"context"
	"errors"
	"sync"

	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

// upload uploads the files of rows, each row's one after the other, and returns the rows that can be asked. A row whose file
// cannot be uploaded gets its record here.
//
// It comes before the journal notes that the rows are enqueued:
//
//	the run dies before Coze's reply	nothing was asked, and its next go uploads the file again
//	it dies between the reply and the id's note, in Redis or the journal	the same: that costs a call
//	it dies after that, before the row is enqueued	the next go finds the id by the file's content
func (r *run) upload(ctx context.Context, rows []*openRow) ([]*openRow, error) {
	upload := noUpload
	if r.job.Uploader != nil {
		upload = r.job.Uploader.Upload
	}
	errs := make([]error, len(rows))
	var uploads sync.WaitGroup
	for i, o := range rows {
		if len(o.row.Paths()) > 0 {
			uploads.Go(func() { errs[i] = o.row.Upload(ctx, upload) })
		}
	}
	uploads.Wait()
	kept := rows[:0]
	for i, o := range rows {
		bad, ok := errors.AsType[*attachment.FileError](errs[i])
		switch {
		case errs[i] == nil:
			kept = append(kept, o)
		case !ok:
			return nil, errs[i]
		default:
			if err := r.record(ctx, ended(o, results.Failed, *bad.Failure())); err != nil {
				return nil, err
			}
		}
	}
	return kept, nil
}

// keepUploads has the ids of uploaded files noted in the journal where Redis dies with the process, and takes up those of earlier
// runs.
func (r *run) keepUploads(ctx context.Context) error {
	u := r.job.Uploader
	if u == nil || !r.job.Forget {
		return nil
	}
	u.Uploaded = r.journal.NoteUpload
	for _, f := range r.journal.Uploads() {
		if err := u.Know(ctx, f.Content, f.FileID, f.At.Time); err != nil {
			return err
		}
	}
	return nil
}

var errNoUpload = errors.New("there is no token here to upload it with")

// noUpload fails the row of a live input that names a file.
func noUpload(_ context.Context, path, _ string) (string, error) {
	return "", &attachment.FileError{Path: path, Err: errNoUpload}
}

// cacheKey is the key of a row's answer; "" = it is not cached. Files count by their content.
func (r *run) cacheKey(row *input.Row) string {
	paths := row.Paths()
	if len(paths) == 0 {
		return r.job.Cache.Key(row.Chat)
	}
	digests := make([]string, len(paths))
	for i, path := range paths {
		var err error
		if digests[i], err = attachment.Digest(path); err != nil {
			return "" // the upload will say so
		}
	}
	row.Digests = digests
	return r.job.Cache.Key(row.ChatWith(digests))
}
