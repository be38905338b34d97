package failed

import (
	"context"
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

// change is a command that does something to failed questions.
type change struct {
	verb, short, long string
	done              string // as deleted
	age               string // its flag of age with a value, as "since 1h"
	do                func(*deadletter.Box, context.Context, deadletter.Letter) (bool, error)
}

func newChange(s *terminal.Streams, o change) *cobra.Command {
	var c deadletter.Choice
	var all bool
	age, _, _ := strings.Cut(o.age, " ")
	cmd := &cobra.Command{
		Use:   o.verb + " [ID...]",
		Short: o.short,
		Long:  o.long,
		Example: `  cozeq failed ` + o.verb + ` 0199b6c2-5f0e-7c33-9d0c-2f6f0f1f4c11
  cozeq failed ` + o.verb + ` --class transient --` + o.age + `
  cozeq failed ` + o.verb + ` --all`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, ids []string) error {
			switch chosen := c != (deadletter.Choice{}) || all; {
			case o.verb == "delete" && c.Since != (deadletter.Age{}):
				return misuse.Errorf(cmd, "--%w", deadletter.ErrYoung)
			case len(ids) == 0 && !chosen:
				return misuse.Errorf(cmd, "which? Give IDs, --queue, --class, --code or --%s, or --all", age)
			case len(ids) > 0 && chosen:
				return misuse.Errorf(cmd, "give either IDs or flags that choose, not both")
			}
			for _, id := range ids {
				if err := tasks.ValidateID(id); err != nil {
					return misuse.Errorf(cmd, "%w", err)
				}
			}
			return with(cmd, s, c, func(ctx context.Context, box *deadletter.Box, f deadletter.Filter) error {
				letters, missing, err := find(ctx, box, f, ids)
				if err != nil {
					return err
				}
				n := 0
				for _, l := range letters {
					if ctx.Err() != nil {
						return &exitcode.InterruptedError{Again: "the same command goes on with the rest"}
					}
					changed, err := o.do(box, ctx, l)
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
				fmt.Fprintf(s.Err, "cozeq: %s %s\n", terminal.Questions(n), o.done)
				if len(missing) > 0 {
					return &exitcode.SomeFailedError{Text: "no failed questions: " + strings.Join(missing, ", ")}
				}
				return nil
			})
		},
	}
	addFlags(cmd, &c)
	if o.verb == "delete" {
		_ = cmd.Flags().MarkHidden("since")
	}
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
	return box.Find(ctx, f, ids)
}
