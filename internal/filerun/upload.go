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
// It comes before the journal notes that the rows are enqueued: a run that dies here has asked nothing, and its next go finds
// what was uploaded by its content, or uploads it again.
func (r *run) upload(ctx context.Context, rows []*openRow) ([]*openRow, error) {
	upload := r.job.Upload
	if upload == nil {
		upload = noUpload
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
