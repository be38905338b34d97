package failed

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/deadletter"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks"
)

// newChange is a command that does something to failed questions.
func newChange(s *terminal.Streams, verb, short, long, done string, do func(*deadletter.Box, context.Context, deadletter.Letter) (bool, error)) *cobra.Command {
	var f filter
	var all bool
	cmd := &cobra.Command{
		Use:   verb + " [ID...]",
		Short: short,
		Long:  long,
		Example: `  cozeq failed ` + verb + ` 0199b6c2-5f0e-7c33-9d0c-2f6f0f1f4c11
  cozeq failed ` + verb + ` --class transient --since 1h
  cozeq failed ` + verb + ` --all`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, ids []string) error {
			switch chosen := f.given() || all; {
			case len(ids) == 0 && !chosen:
				return misuse.Errorf(cmd, "which? Give IDs, --queue, --class, --code or --since, or --all")
			case len(ids) > 0 && chosen:
				return misuse.Errorf(cmd, "IDs and flags that choose: give one of the two")
			}
			for _, id := range ids {
				if err := tasks.ValidateID(id); err != nil {
					return misuse.Errorf(cmd, "%w", err)
				}
			}
			return with(cmd, s, &f, func(ctx context.Context, box *deadletter.Box, d deadletter.Filter) error {
				letters, missing, err := find(ctx, box, d, ids)
				if err != nil {
					return err
				}
				n := 0
				for _, l := range letters {
					if ctx.Err() != nil {
						return &exitcode.InterruptedError{Again: "the same command goes on with the rest"}
					}
					changed, err := do(box, ctx, l)
					if err != nil {
						return err
					}
					if !changed {
						continue
					}
					n++
					if _, err := fmt.Fprintln(s.Out, l.ID); err != nil {
						return err
					}
				}
				fmt.Fprintf(s.Err, "cozeq: %s %s\n", terminal.Questions(n), done)
				if len(missing) > 0 {
					return &exitcode.SomeFailedError{Text: "no failed questions: " + strings.Join(missing, ", ")}
				}
				return nil
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all failed questions")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

// find looks the questions up, by their ids or with the filter. missing are ids of no failed question.
func find(ctx context.Context, box *deadletter.Box, f deadletter.Filter, ids []string) (all []deadletter.Letter, missing []string, err error) {
	if len(ids) == 0 {
		all, err = box.List(ctx, f)
		return all, nil, err
	}
	for _, id := range ids {
		l, err := box.Get(ctx, id)
		switch {
		case errors.Is(err, deadletter.ErrNotFailed):
			missing = append(missing, id)
		case err != nil:
			return nil, nil, err
		default:
			all = append(all, *l)
		}
	}
	return all, missing, nil
}
