package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks/batches"
)

type submitOptions struct {
	streams   *terminal.Streams
	input     settings.InputFlags
	workflow  settings.WorkflowFlags
	questions settings.QuestionFlags

	id        string
	again     bool
	dryRun    bool
	json      bool
	keep      time.Duration
	expiresIn time.Duration
	rules     session.RedisRules
}

func newSubmit(s *terminal.Streams) *cobra.Command {
	o := &submitOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "submit FILE",
		Short: "Put every question of a file into a shared Redis",
		Long: `Checks the whole FILE, puts its questions into a shared Redis and prints the id
of the batch. The workers there ask them. FILE is what 'cozeq run' takes as
INPUT, or - for stdin; --workflow and --chatflow do what they do there.

The id is made from the questions: the content of FILE, how it is read, the bot
and the credential. The same command again adds nothing twice: it resumes an
interrupted submission, or says that everything was submitted before. --again
makes another batch of the same questions. Files of this machine that they name
(columns file and image) are uploaded from here, with the workers' account.

A batch needs about 1.5 KiB of Redis memory per question, plus the question and
its answer. --dry-run shows how much that is and writes nothing. A batch that
does not fit into maxmemory is refused.`,
		Example: `  cozeq batch submit questions.csv --bot 73428668
  cozeq batch submit questions.xlsx --dry-run
  cozeq batch submit cities.csv --workflow 73664689170551
  cozeq batch submit night.jsonl.gz --queue low --expires-in 8h --id night-0412
  generate | cozeq batch submit - --format txt`,
		Args: misuse.CheckArgs(1, 1, "FILE"),
		RunE: o.run,
	}
	o.input.Add(cmd)
	o.workflow.Add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.id, "id", "", "`NAME` of the batch (default an id made from the questions)")
	f.BoolVar(&o.again, "again", false, "make another batch even if one with the same questions exists")
	f.BoolVar(&o.dryRun, "dry-run", false, "check FILE, show the memory it needs, and write nothing")
	f.BoolVar(&o.json, "json", false, "print the batch, or the outcome of --dry-run, as JSON")
	flags.Duration(f, &o.keep, "keep", batches.DefaultKeep, "keep the batch and its results this long after its end")
	flags.Duration(f, &o.expiresIn, "expires-in", 0, "ask nothing later than this from now (default no limit)")
	o.questions.AddMany(cmd, "ask with the workers' credential of this `NAME`")
	o.rules.AddFlag(f)
	settings.AddFlags(cmd, settings.Redis, settings.Base, settings.Bot, settings.Log)
	return cmd
}

func (o *submitOptions) check(cmd *cobra.Command) error {
	if err := o.questions.Check(cmd); err != nil {
		return err
	}
	if cmd.Flags().Changed("id") {
		if err := batches.ValidateID(o.id); err != nil {
			return misuse.Errorf(cmd, "--id: %w", err)
		}
	}
	switch {
	case o.id != "" && o.again:
		return misuse.Errorf(cmd, "--id and --again: choose one; a new name is a new batch")
	case o.keep < time.Minute:
		return misuse.Errorf(cmd, "--keep %v, want at least 1m", o.keep)
	case o.expiresIn < 0:
		return misuse.Errorf(cmd, "--expires-in %v, want more than 0", o.expiresIn)
	}
	return nil
}

func (o *submitOptions) run(cmd *cobra.Command, args []string) error {
	cfg := settings.Of(cmd, o.streams)
	if err := o.check(cmd); err != nil {
		return err
	}
	line := terminal.NewProgressLine(o.streams, "submitting")
	logger, err := cfg.Logger(line, o.streams.ErrTTY, slog.LevelWarn)
	if err != nil {
		return err
	}
	s, err := session.NewShared(cfg, 1, logger)
	if err != nil {
		return err
	}
	defer s.Close()
	in, err := o.open(cmd, cfg, args[0])
	if err != nil {
		return o.explain(err)
	}
	defer in.Close()
	if text := settings.Detected(in); text != "" {
		fmt.Fprintln(line, text)
	}
	ctx := cmd.Context()
	if err := s.Remote.Ping(ctx); err != nil {
		return err
	}
	if !o.dryRun {
		if err := o.rules.Check(ctx, s.Redis, logger); err != nil {
			return err
		}
	}
	sub, there, err := o.submission(ctx, s, in)
	if err != nil {
		return o.explain(err)
	}
	need, err := o.need(ctx, sub, there)
	if err != nil {
		return o.explain(err)
	}
	if o.dryRun {
		return o.preview(sub, there, need)
	}
	if there == nil || unfinishedSubmit(there) {
		if err := need.room.Hold(need.memory); err != nil {
			return err
		}
	}
	if err := o.uploader(ctx, cfg, s, sub, need.stats); err != nil {
		return err
	}
	sub.OnProgress = func(rows int) { line.Progress(rows, need.stats.Rows) }
	b, already, err := sub.Run(ctx)
	line.End()
	if err != nil {
		return o.explain(err)
	}
	return o.conclude(s, sub, b, already)
}

func (o *submitOptions) open(cmd *cobra.Command, cfg settings.Config, path string) (*input.Input, error) {
	how, err := o.input.Options(cmd)
	if err != nil {
		return nil, err
	}
	how.Stdin, how.BotID, how.Credential = o.streams.In, cfg.Text(settings.Bot, ""), o.questions.Credential
	how.OnTurnFailure, how.CheckFile = o.questions.OnTurnFailure, attachment.Check
	if err := o.workflow.Apply(cmd, &how); err != nil {
		return nil, err
	}
	return settings.OpenInput(cmd, path, how)
}

// uploader has the files of the questions uploaded, if they have any.
func (o *submitOptions) uploader(ctx context.Context, cfg settings.Config, s *session.Session, sub *batchfile.Submission, stats input.Stats) error {
	if stats.Files == 0 {
		return nil
	}
	account, err := cfg.UploadAccount(ctx, o.questions.Credential)
	if err == nil {
		sub.Upload = s.Uploader(account).Upload
	}
	return err
}

// submission is what to submit, and the batch that an earlier submit has left there; nil: none.
func (o *submitOptions) submission(ctx context.Context, s *session.Session, in *input.Input) (*batchfile.Submission, *batches.Status, error) {
	sub := &batchfile.Submission{Input: in, Batches: s.Batches(), Batch: batches.Spec{
		ID: o.id, Queue: o.questions.Queue, Keep: o.keep, Attempts: o.questions.Attempts, Timeout: o.questions.Timeout,
	}}
	if o.expiresIn > 0 {
		sub.Batch.ExpiresAt = time.Now().Add(o.expiresIn)
	}
	identity := in.Identity()
	for nth := 1; ; nth++ {
		if o.id == "" {
			sub.Batch.ID = batchfile.BatchID(identity, nth)
		}
		there, err := sub.Batches.Get(ctx, sub.Batch.ID)
		if errors.Is(err, batches.ErrNotFound) {
			return sub, nil, nil
		}
		if err != nil {
			return nil, nil, err
		}
		// An unfinished one is resumed, even with --again: a command that is repeated because the first was killed must
		// not make two batches.
		if !o.again || unfinishedSubmit(there) {
			return sub, there, nil
		}
	}
}

// unfinishedSubmit reports whether the submit of a batch is under way or was interrupted.
func unfinishedSubmit(b *batches.Status) bool { return b.SubmittedAt.IsZero() && b.CanceledAt.IsZero() }

func (o *submitOptions) conclude(s *session.Session, sub *batchfile.Submission, b *batches.Status, already bool) error {
	if sub.Refused > 0 {
		fmt.Fprintf(o.streams.Err, "cozeq: warning: files of %s could not be uploaded, the rest is submitted; first %v\nhint: %s\n",
			terminal.Questions(sub.Refused), sub.FirstRefused, o.streams.Translate("correct the files and run the same command again: it asks those questions"))
	}
	switch ago := terminal.Rounded(time.Since(b.CreatedAt)); {
	case already && !b.CanceledAt.IsZero():
		fmt.Fprintf(o.streams.Err, "cozeq: submitted %s ago, and canceled since: nothing was enqueued; 'cozeq batch retry %s --status canceled' asks those questions after all, --again makes another batch\n", ago, b.ID)
	case already && sub.Corrected > 0:
		fmt.Fprintf(o.streams.Err, "cozeq: submitted already, %s ago: %s asked now, with files that were refused\n", ago, terminal.Questions(sub.Corrected))
	case already:
		fmt.Fprintf(o.streams.Err, "cozeq: submitted already, %s ago: nothing was enqueued; --again makes another batch of the same questions\n", ago)
	default:
		fmt.Fprintf(o.streams.Err, "cozeq: %s submitted; 'cozeq batch watch %s' shows its progress\n", terminal.Questions(b.Rows), b.ID)
	}
	if b.Counts.Open() > 0 {
		s.NoteUnserved(o.streams.Err, b.Queue, "the questions wait until one does")
	}
	if o.json {
		return terminal.WriteJSON(o.streams.Out, submitJSON{newRecord(b), already, sub.Refused, sub.Corrected})
	}
	_, err := fmt.Fprintln(o.streams.Out, b.ID)
	return err
}

type submitJSON struct {
	recordJSON
	Already   bool `json:"already_submitted"`
	Refused   int  `json:"files_refused,omitempty"`   // questions
	Corrected int  `json:"files_corrected,omitempty"` // questions
}

func (o *submitOptions) explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return &exitcode.InterruptedError{Again: "run the same command again to resume: nothing is enqueued twice"}
	}
	if errors.Is(err, input.ErrEdited) {
		return &exitcode.HintedError{Err: err, Hint: "restore the file and run the same command again to resume; with the present file it makes another batch"}
	}
	if refused, ok := errors.AsType[*coze.Error](err); ok { // all uploads
		return &exitcode.StoppedError{Class: refused.Class, Err: err, Again: "run the same command again to resume"}
	}
	if errors.Is(err, batches.ErrCanceled) {
		return &exitcode.HintedError{Err: err, Hint: "it was canceled meanwhile; --again makes another batch"}
	}
	return err
}
