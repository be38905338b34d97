package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

type batchSubmitCommand struct {
	streams *terminal.Streams
	input   settings.InputFlags

	id         string
	again      bool
	dryRun     bool
	json       bool
	queue      string
	attempts   int
	timeout    time.Duration
	keep       time.Duration
	expiresIn  time.Duration
	credential string
	rules      session.RedisRules

	onTurnFailure string
}

func newBatchSubmitCmd(s *terminal.Streams) *cobra.Command {
	c := &batchSubmitCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "submit FILE",
		Short: "Put every question of a file into a shared Redis",
		Long: `Checks the whole FILE, puts its questions into a shared Redis and prints the id
of the batch. The workers there ask them. FILE is what 'cozeq run' takes as
INPUT, or - for stdin.

The id is made from the questions: the content of FILE, how it is read, the bot
and the credential. The same command again adds nothing twice: it resumes an
interrupted submission, or says that everything was submitted before. --again
makes another batch of the same questions.

A batch needs about 1.5 KiB of Redis memory per question, plus the question and
its answer. --dry-run shows how much that is and writes nothing. A batch that
does not fit into maxmemory is refused.`,
		Example: `  cozeq batch submit questions.csv --bot 73428668
  cozeq batch submit questions.xlsx --dry-run
  cozeq batch submit night.jsonl.gz --queue low --expires-in 8h --id night-0412
  generate | cozeq batch submit - --format txt`,
		Args: misuse.CheckArgs(1, 1, "FILE"),
		RunE: c.run,
	}
	c.input.Add(cmd)
	f := cmd.Flags()
	f.StringVar(&c.id, "id", "", "`NAME` of the batch (default an id made from the questions)")
	f.BoolVar(&c.again, "again", false, "make another batch even if one with the same questions exists")
	f.BoolVar(&c.dryRun, "dry-run", false, "check FILE, show the memory it needs, and write nothing")
	f.BoolVar(&c.json, "json", false, "print the batch, or the outcome of --dry-run, as JSON")
	f.StringVar(&c.queue, "queue", tasks.QueueDefault, settings.QueueUsage)
	f.IntVar(&c.attempts, "attempts", tasks.DefaultAttempts, settings.AttemptsUsage)
	flags.Duration(f, &c.timeout, "timeout", tasks.DefaultTimeout, "limit of one attempt")
	flags.Duration(f, &c.keep, "keep", batches.DefaultKeep, "keep the batch and its results this long after its end")
	flags.Duration(f, &c.expiresIn, "expires-in", 0, "ask nothing later than this from now (default no limit)")
	f.StringVar(&c.credential, "credential", "", "ask with the workers' credential of this `NAME`")
	settings.AddTurnFailure(f, &c.onTurnFailure)
	c.rules.AddFlag(f)
	settings.AddFlags(cmd, settings.Redis, settings.Bot, settings.Log)
	return cmd
}

func (c *batchSubmitCommand) check(cmd *cobra.Command) error {
	if _, err := tasks.Shards(c.queue); err != nil {
		return misuse.Errorf(cmd, "--queue: %w", err)
	}
	if c.credential != "" {
		if err := settings.CheckCredentialName(c.credential); err != nil {
			return misuse.Errorf(cmd, "--credential: %w", err)
		}
	}
	if cmd.Flags().Changed("id") {
		if err := batches.ValidateID(c.id); err != nil {
			return misuse.Errorf(cmd, "--id: %w", err)
		}
	}
	switch {
	case c.id != "" && c.again:
		return misuse.Errorf(cmd, "--id and --again: choose one; a new name is a new batch")
	case c.onTurnFailure != tasks.TurnSkip && c.onTurnFailure != tasks.TurnBlock:
		return misuse.Errorf(cmd, "--on-turn-failure %q, want %s or %s", c.onTurnFailure, tasks.TurnSkip, tasks.TurnBlock)
	case c.attempts < 1:
		return misuse.Errorf(cmd, "--attempts %d, want at least 1", c.attempts)
	case c.timeout < time.Second:
		return misuse.Errorf(cmd, "--timeout %v, want at least 1s", c.timeout)
	case c.keep < time.Minute:
		return misuse.Errorf(cmd, "--keep %v, want at least 1m", c.keep)
	case c.expiresIn < 0:
		return misuse.Errorf(cmd, "--expires-in %v, want more than 0", c.expiresIn)
	}
	return nil
}

func (c *batchSubmitCommand) run(cmd *cobra.Command, args []string) error {
	cfg := settings.Of(cmd, c.streams)
	if err := c.check(cmd); err != nil {
		return err
	}
	level, err := cfg.Level(slog.LevelWarn)
	if err != nil {
		return err
	}
	line := terminal.NewProgressLine(c.streams, "submitting")
	logger := terminal.NewLogger(line, c.streams.ErrTTY, level)
	s, err := session.NewShared(cfg, 1, logger)
	if err != nil {
		return err
	}
	defer s.Close()
	in, err := c.open(cmd, cfg, args[0])
	if err != nil {
		return c.explain(err)
	}
	defer in.Close()
	if text := settings.Detected(in); text != "" {
		fmt.Fprintln(line, text)
	}
	ctx := cmd.Context()
	if err := s.Remote.Ping(ctx); err != nil {
		return err
	}
	if !c.dryRun {
		if err := c.rules.Check(ctx, s.Redis, logger); err != nil {
			return err
		}
	}
	sub, there, err := c.submission(ctx, s, in)
	if err != nil {
		return c.explain(err)
	}
	need, err := c.need(ctx, sub, there)
	if err != nil {
		return c.explain(err)
	}
	if c.dryRun {
		return c.foretell(sub, there, need)
	}
	if there == nil || halfWay(there) {
		if err := need.room.Hold(need.memory); err != nil {
			return err
		}
	}
	sub.OnProgress = func(rows int) { line.Progress(rows, need.stats.Rows) }
	b, already, err := sub.Run(ctx)
	line.End()
	if err != nil {
		return c.explain(err)
	}
	return c.conclude(s, b, already)
}

func (c *batchSubmitCommand) open(cmd *cobra.Command, cfg settings.Config, path string) (*input.Input, error) {
	o, err := c.input.Options(cmd)
	if err != nil {
		return nil, err
	}
	o.Stdin, o.BotID, o.Credential = c.streams.In, cfg.Text(settings.Bot, ""), c.credential
	if c.onTurnFailure != tasks.TurnSkip {
		o.OnTurnFailure = c.onTurnFailure
	}
	return settings.OpenInput(cmd, path, o)
}

// submission is what is to be submitted, and what of it is there already.
func (c *batchSubmitCommand) submission(ctx context.Context, s *session.Session, in *input.Input) (*batchfile.Submission, *batches.Status, error) {
	sub := &batchfile.Submission{Input: in, Batches: s.Batches(), Batch: batches.Spec{
		ID: c.id, Queue: c.queue, Keep: c.keep, Attempts: c.attempts, Timeout: c.timeout,
	}}
	if c.expiresIn > 0 {
		sub.Batch.ExpiresAt = time.Now().Add(c.expiresIn)
	}
	identity := in.Identity()
	for nth := 1; ; nth++ {
		if c.id == "" {
			sub.Batch.ID = batchfile.BatchID(identity, nth)
		}
		there, err := sub.Batches.Get(ctx, sub.Batch.ID)
		if errors.Is(err, batches.ErrNotFound) {
			return sub, nil, nil
		}
		if err != nil {
			return nil, nil, err
		}
		// One that was left half-way is gone on with, with --again too: a command that
		// is given twice, because the first was killed, must not make two.
		if !c.again || halfWay(there) {
			return sub, there, nil
		}
	}
}

// halfWay tells a batch whose submit has not come to its end.
func halfWay(b *batches.Status) bool { return b.SubmittedAt.IsZero() && b.CanceledAt.IsZero() }

// conclude tells what is there now.
func (c *batchSubmitCommand) conclude(s *session.Session, b *batches.Status, already bool) error {
	switch ago := terminal.Rounded(time.Since(b.CreatedAt)); {
	case already && !b.CanceledAt.IsZero():
		fmt.Fprintf(c.streams.Err, "cozeq: submitted %s ago, and canceled since: nothing was enqueued; 'cozeq batch retry %s --status canceled' asks those questions after all, --again makes another batch\n", ago, b.ID)
	case already:
		fmt.Fprintf(c.streams.Err, "cozeq: submitted already, %s ago: nothing was enqueued; --again makes another batch of the same questions\n", ago)
	default:
		fmt.Fprintf(c.streams.Err, "cozeq: %s submitted; 'cozeq batch watch %s' shows how it goes on\n", terminal.Questions(b.Rows), b.ID)
	}
	if b.Counts.Open() > 0 {
		s.NoteUnserved(c.streams.Err, b.Queue, "the questions wait until one does")
	}
	if c.json {
		return terminal.WriteJSON(c.streams.Out, submittedJSON{batchRecord(b), already})
	}
	_, err := fmt.Fprintln(c.streams.Out, b.ID)
	return err
}

// submittedJSON is a batch, and whether it was there before, for programs.
type submittedJSON struct {
	batchJSON
	Already bool `json:"already_submitted"`
}

func (c *batchSubmitCommand) explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return &exitcode.InterruptedError{Again: "run the same command again to go on: nothing is enqueued twice"}
	}
	if errors.Is(err, input.ErrEdited) {
		return &exitcode.HintedError{Err: err, Hint: "put the file back as it was and give the same command again to go on; with the file as it is now it makes another batch"}
	}
	if errors.Is(err, batches.ErrCanceled) {
		return &exitcode.HintedError{Err: err, Hint: "somebody has canceled it meanwhile; --again makes another batch"}
	}
	return err
}
