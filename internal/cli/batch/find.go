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

// target is the batch that a command was called with.
type target struct {
	session *session.Session // the caller closes it
	all     *batches.Client
	batch   *batches.Status
}

func open(cmd *cobra.Command, streams *terminal.Streams, name string) (*target, error) {
	s, err := session.OpenFor(cmd, streams)
	if err != nil {
		return nil, err
	}
	f := &target{session: s, all: s.Batches()}
	if f.batch, err = find(cmd.Context(), f.all, name); err != nil {
		s.Close()
		return nil, err
	}
	return f, nil
}

// find finds a batch by its id, or by the first characters of an id if they are unique.
func find(ctx context.Context, client *batches.Client, name string) (*batches.Status, error) {
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
		return nil, notFound(name, all)
	case 1:
		return begun[0], nil
	}
	return nil, &exitcode.HintedError{
		Err:  fmt.Errorf("%q is the beginning of %d batches: %s", name, len(begun), names(begun)),
		Hint: "give more of the id",
	}
}

// notFound suggests the batch that was probably meant, else the newest.
func notFound(name string, all []*batches.Status) error {
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
		e.Hint = "the newest are " + names(all) + "; see 'cozeq batch list'"
	}
	return e
}

func names(all []*batches.Status) string {
	const most = 3
	shown := make([]string, 0, most)
	for _, b := range all[:min(len(all), most)] {
		shown = append(shown, fmt.Sprintf("%s (%s, %s ago)", b.ID, terminal.OneLine(b.Name), terminal.Rounded(time.Since(b.CreatedAt))))
	}
	text := strings.Join(shown, ", ")
	if n := len(all) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

func (f *target) detached() *batchfile.Detached {
	return &batchfile.Detached{Batch: f.batch, Batches: f.all, Results: f.session.Results}
}
