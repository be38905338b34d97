package batch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// foundBatch is a batch of a shared Redis that a command was called with.
type foundBatch struct {
	*session.Session
	all *batches.Client
	*batches.Status
}

// openBatch opens the shared Redis and finds the batch in it that name stands for.
// The caller closes the session.
func openBatch(cmd *cobra.Command, streams *terminal.Streams, name string) (*foundBatch, error) {
	s, err := session.OpenFor(cmd, streams)
	if err != nil {
		return nil, err
	}
	f := &foundBatch{Session: s, all: s.Batches()}
	if f.Status, err = findBatch(cmd.Context(), f.all, name); err != nil {
		s.Close()
		return nil, err
	}
	return f, nil
}

// findBatch finds a batch by its id, or by the beginning of one that no other has.
func findBatch(ctx context.Context, client *batches.Client, name string) (*batches.Status, error) {
	if err := tasks.ValidateID(name); err != nil {
		return nil, err
	}
	b, err := client.Get(ctx, name)
	if err == nil || !errors.Is(err, batches.ErrNotFound) {
		return b, err
	}
	all, err := client.List(ctx)
	if err != nil {
		return nil, err
	}
	var begun []*batches.Status
	for _, b := range all {
		if strings.HasPrefix(b.ID, name) {
			begun = append(begun, b)
		}
	}
	switch len(begun) {
	case 0:
		return nil, noSuchBatch(name, all)
	case 1:
		return begun[0], nil
	}
	return nil, &exitcode.HintedError{
		Err:  fmt.Errorf("%q is the beginning of %d batches: %s", name, len(begun), batchNames(begun)),
		Hint: "give more of the id",
	}
}

// noSuchBatch says which there are: the one that was probably meant, else the newest.
func noSuchBatch(name string, all []*batches.Status) error {
	e := &exitcode.HintedError{Err: fmt.Errorf("no batch %q in this redis", name)}
	ids := make([]string, len(all))
	for i, b := range all {
		ids[i] = b.ID
	}
	near := usage.Nearest(name, ids)
	switch {
	case len(all) == 0:
		e.Hint = "there is none at all: check --redis or REDIS_URL; batches are kept for 7 days after their end, unless --keep said otherwise"
	case near != "":
		e.Hint = "did you mean " + near + "?"
	default:
		e.Hint = "the newest are " + batchNames(all) + "; see 'cozeq batch list'"
	}
	return e
}

// batchNames names some batches in a sentence.
func batchNames(all []*batches.Status) string {
	const most = 3
	names := make([]string, 0, most)
	for _, b := range all[:min(len(all), most)] {
		names = append(names, fmt.Sprintf("%s (%s, %s ago)", b.ID, terminal.OneLine(b.Name), terminal.Rounded(time.Since(b.CreatedAt))))
	}
	text := strings.Join(names, ", ")
	if n := len(all) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// detached reads what has become of the batch.
func (f *foundBatch) detached() *batchfile.Detached {
	return &batchfile.Detached{Batch: f.Status, Batches: f.all, Results: f.Results}
}
