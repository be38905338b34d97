// Package doctor is the command doctor: checks of the settings, Redis, Coze, the workers and the disk, each a line with its
// fix. It asks no question, changes nothing and ends within doctorTime. A check is a function that returns findings; their
// names are public (docs/operations.md).
package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/redischeck"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

// doctorTime bounds all checks together. A server that works answers much sooner.
const doctorTime = 10 * time.Second

var errTooLong = fmt.Errorf("no answer within the %v that all checks have together", doctorTime)

type options struct {
	streams *terminal.Streams
	json    bool
	strict  bool
	output  string
}

func New(s *terminal.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check settings, Redis, Coze, workers, queues and disk",
		Long: `Checks all that a run, a worker or 'cozeq serve' with the same settings needs: the
settings, API keys, the shared Redis, the connection to Coze, the token, the bots,
the workers and their queues, and the disk. It asks no question and costs nothing.

Each check is one line: ok, warn (works, but will cause trouble), fail, or skip
(could not be checked), with the way to fix it. Secrets are never shown. In a
pipe, tabs separate status, name, detail and fix.

It takes 10 s at most. The exit code is 1 if a check fails, and with --strict
also if there is a warning.`,
		Example: `  cozeq doctor
  cozeq doctor --redis redis://localhost:6379/0 --strict
  cozeq doctor --json |
    jq -r '.checks[] | select(.status == "fail") | .fix'`,
		Args: misuse.CheckArgs(0, 0, ""),
		RunE: o.run,
	}
	f := cmd.Flags()
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.BoolVar(&o.strict, "strict", false, "treat warnings as failures")
	f.StringVarP(&o.output, "output", "o", "", "check the disk where a run would write `FILE` (default this directory's disk)")
	for _, s := range settings.All() {
		if s.Flag != "" && s.Flag != settings.Lang && f.Lookup(s.Flag) == nil {
			settings.AddFlags(cmd, s.Flag)
		}
	}
	f.Lookup(settings.HTTP).DefValue = settings.DefaultHTTP
	f.Bool(settings.FlagMonitorWrite, false, "") // that a worker has, for who gives the same line
	_ = f.MarkHidden(settings.FlagMonitorWrite)
	return cmd
}

func (o *options) run(cmd *cobra.Command, _ []string) error {
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), doctorTime, errTooLong)
	defer cancel()
	d := &doctor{cfg: settings.Of(cmd, o.streams), environ: o.streams.Environ, output: o.output}
	d.logger, _ = d.cfg.Logger(o.streams.Err, o.streams.ErrTTY, slog.LevelError) // a wrong level is one of the findings
	defer d.close()
	sum := diagnosis{OK: true}
	for found := range d.look(ctx) {
		if cmd.Context().Err() != nil {
			return &exitcode.InterruptedError{}
		}
		sum.add(o.strict, found...)
		if o.json {
			continue
		}
		if err := o.print(found); err != nil {
			return err
		}
	}
	if o.json {
		if err := terminal.WriteJSON(o.streams.Out, sum); err != nil {
			return err
		}
	}
	if !sum.OK {
		return errors.New(sum.summary())
	}
	fmt.Fprintf(o.streams.Err, "cozeq: %s\n", sum.summary())
	return nil
}

// nameWidth is for most names. A longer one pushes its own detail to the right.
const nameWidth = 24

func (o *options) print(found []finding) error {
	if !o.streams.OutTTY {
		t := &terminal.Table{}
		for _, f := range found {
			t.Add(string(f.Status), f.Name, f.Detail, o.streams.Translate(f.Fix))
		}
		return t.Write(o.streams)
	}
	const left = len("skip") + 2 + nameWidth + 2
	indent, width := strings.Repeat(" ", left), max(o.streams.Width, left+30)
	colors := map[redischeck.Status]terminal.Paint{redischeck.OK: terminal.Green, redischeck.Skip: terminal.Dim, redischeck.Warn: terminal.Yellow, redischeck.Fail: terminal.Red}
	var b strings.Builder
	for _, f := range found {
		b.WriteString(o.streams.Paint(true, colors[f.Status], fmt.Sprintf("%-4s", f.Status)))
		name := f.Name
		if pad := nameWidth - terminal.Columns(name); pad >= 0 {
			name += strings.Repeat(" ", pad)
			b.WriteString("  " + name + "  " + strings.TrimLeft(terminal.Wrap(terminal.OneLine(f.Detail), indent, width), " "))
		} else {
			b.WriteString("  " + name + "\n" + terminal.Wrap(terminal.OneLine(f.Detail), indent, width))
		}
		if f.Fix != "" {
			b.WriteString(terminal.Wrap("fix: "+terminal.OneLine(o.streams.Translate(f.Fix)), indent, width))
		}
	}
	_, err := fmt.Fprint(o.streams.Out, b.String())
	return err
}
