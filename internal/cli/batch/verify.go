package batch

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/tasks/batches"
)

type verifyOptions struct {
	streams *terminal.Streams
	output  string
	json    bool
}

func newVerify(s *terminal.Streams) *cobra.Command {
	o := &verifyOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "verify ID [FILE]",
		Short: "Check that each question of a batch has one record",
		Long: `Checks that each question of a batch has ended and has exactly one record in
Redis. With FILE, an output of 'batch results' or of a run, it also checks that
FILE has exactly one record per question, in order and with the same status.

Prints one line per fault, with the row of the batch's file and the custom_id.
The exit code is 1 if there is any.`,
		Example: `  cozeq batch verify 7xw2kqnh4d
  cozeq batch verify 7xw2kqnh4d answers.csv`,
		Args: misuse.CheckArgs(1, 2, "ID and FILE"),
		RunE: o.run,
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "check this `FILE` of answers too")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	settings.AddFlags(cmd, settings.Redis, settings.Log)
	return cmd
}

func (o *verifyOptions) run(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		if o.output != "" {
			return misuse.Errorf(cmd, "%s and -o %s: name one FILE", args[1], o.output)
		}
		o.output = args[1]
	}
	f, err := open(cmd, o.streams, args[0])
	if err != nil {
		return err
	}
	defer f.session.Close()
	v, err := f.detached().Verify(cmd.Context(), o.output)
	if err != nil {
		return o.explain(err)
	}
	if o.json {
		err = terminal.WriteJSON(o.streams.Out, o.record(f.batch, v))
	} else {
		err = o.print(f.batch, v)
	}
	if err != nil || v.Clean() {
		return err
	}
	return o.fault(f.batch, v)
}

type verifyJSON struct {
	ID     string      `json:"id"`
	Rows   int         `json:"rows"`
	Clean  bool        `json:"clean"`
	Faulty int         `json:"faulty_rows"`
	File   string      `json:"file,omitempty"`
	Faults []faultJSON `json:"faults,omitempty"`
}

type faultJSON struct {
	Row      int    `json:"row,omitempty"`
	CustomID string `json:"custom_id,omitempty"`
	What     string `json:"what"`
}

func (o *verifyOptions) record(b *batches.Status, v *batchfile.Verification) verifyJSON {
	out := verifyJSON{ID: b.ID, Rows: v.Rows, Clean: v.Clean(), Faulty: v.Faulty, File: o.output}
	for _, f := range v.Faults {
		out.Faults = append(out.Faults, faultJSON(f))
	}
	return out
}

// maxFaultsShown is one screen; a pipe and --json have all faults.
const maxFaultsShown = 20

func (o *verifyOptions) print(b *batches.Status, v *batchfile.Verification) error {
	shown := v.Faults
	if o.streams.OutTTY {
		shown = shown[:min(len(shown), maxFaultsShown)]
	}
	for _, f := range shown {
		if _, err := fmt.Fprintln(o.streams.Out, terminal.OneLine(f.String())); err != nil {
			return err
		}
	}
	if n := v.Total - len(shown); n > 0 {
		fmt.Fprintf(o.streams.Err, "and %s more\n", terminal.Count(n))
	}
	if v.Clean() {
		what := "exactly one record"
		if o.output != "" {
			what += ", and so has " + o.output
		}
		fmt.Fprintf(o.streams.Err, "cozeq: batch %s is clean: each of %s has %s\n", b.ID, terminal.Questions(v.Rows), what)
	}
	return nil
}

func (o *verifyOptions) fault(b *batches.Status, v *batchfile.Verification) error {
	e := &exitcode.HintedError{Err: fmt.Errorf("batch %s is not clean: %s of %s", b.ID, terminal.Count(v.Faulty), terminal.Questions(v.Rows))}
	switch {
	case b.Counts.Open() > 0 && unfinishedSubmit(b) && b.Kind != batches.KindRun:
		e.Hint = "its submit was interrupted: run the same 'cozeq batch submit' again"
	case b.Counts.Open() > 0:
		e.Hint = fmt.Sprintf("it has not ended: wait with 'cozeq batch watch %s'", b.ID)
	case b.Kind != batches.KindRun:
		e.Hint = fmt.Sprintf("'cozeq batch retry %s --status %s' asks the questions without a record again; 'cozeq batch results' writes FILE again", b.ID, statusLost)
	}
	return e
}

func (o *verifyOptions) explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return &exitcode.InterruptedError{Again: "run the same command again"}
	}
	if misused, ok := errors.AsType[*usage.Error](err); ok {
		return &usage.Error{What: misused.What, Hint: "name a file that cozeq run or cozeq batch results has written"}
	}
	return err
}
