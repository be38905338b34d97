// Package ask is the command ask: one question, its answer on stdout.
package ask

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/site"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

const (
	// askDrain bounds the end of ask's own worker: the one chat is over by then.
	askDrain = 5 * time.Second

	// withdrawal bounds the wait for a canceled question's end. It is longer than the worker waits for Coze.
	withdrawal = 15 * time.Second
)

type askCommand struct {
	streams *terminal.Streams

	stream       bool
	noWait       bool
	withWorker   bool
	json         bool
	conversation string
	credential   string
	queue        string
	timeout      time.Duration
	patience     time.Duration
	workerWait   time.Duration
	rules        session.RedisRules

	id, user string
	vars     []string
	images   []string
}

func New(s *terminal.Streams) *cobra.Command {
	c := &askCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "ask QUESTION",
		Short: "Ask one question",
		Long: `Asks one question and prints the answer. The QUESTION - is read from stdin.
Without --redis this process asks Coze itself; it first checks that Coze accepts
the token. With --redis the workers there ask.

A signal cancels the chat, also at Coze.`,
		Example: `  cozeq ask "What is a goroutine?"
  cozeq ask --stream "Tell me a story"
  cozeq ask --redis redis://localhost:6379/0 --conversation alice "And then?"
  cozeq ask --image https://example.com/cat.png "What is this?"
  cozeq ask --var city=Chengdu --user u1 "What is the weather like?"
  id=$(cozeq ask --redis redis://localhost:6379/0 --no-wait "A long one")
  cozeq result "$id" --wait 5m --redis redis://localhost:6379/0`,
		Args: misuse.CheckArgs(1, 1, "QUESTION"),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.BoolVar(&c.stream, "stream", false, "print the answer as it arrives; with --no-wait: publish its pieces for others")
	f.BoolVar(&c.noWait, "no-wait", false, "with --redis: print the question's id and do not wait for the answer")
	f.BoolVar(&c.withWorker, "with-worker", false, "with --redis: run a worker in this process too")
	f.BoolVar(&c.json, "json", false, "print the whole result as JSON")
	f.StringVar(&c.id, "id", "", "`ID` of the question; with --redis an ID that exists is not asked again, its answer is awaited")
	f.StringVar(&c.user, "user", "", "`ID` of the user who asks, as Coze's user_id (default "+tasks.DefaultUserID+")")
	f.StringArrayVar(&c.vars, "var", nil, "set a variable of the bot, as `NAME=VALUE`; may be repeated")
	f.StringArrayVar(&c.images, "image", nil, "`URL` of a picture to send with the question, or the ID of a file at Coze; may be repeated")
	f.StringVar(&c.conversation, "conversation", "", "with --redis: continue the conversation with this `KEY`, a name of your own")
	f.StringVar(&c.credential, "credential", "", "ask with the credential of this `NAME` in $COZEQ_CREDENTIALS_FILE; with --redis, in the workers' file")
	f.StringVar(&c.queue, "queue", tasks.QueueDefault, settings.QueueUsage)
	flags.Duration(f, &c.timeout, "timeout", tasks.DefaultTimeout, "cancel the question if there is no answer after this time")
	settings.AddFlags(cmd, settings.Redis, settings.Base, settings.Bot, settings.Rate, settings.Log, settings.Codes, settings.MaxAnswer)
	pausewatch.AddFlag(cmd, &c.patience, "2m while Coze is unreachable, else 0s")
	session.AddWorkerWait(cmd, &c.workerWait)
	c.rules.AddFlag(f)
	return cmd
}

func (c *askCommand) run(cmd *cobra.Command, args []string) error {
	cfg := settings.Of(cmd, c.streams)
	level, err := cfg.Level(slog.LevelWarn)
	if err != nil {
		return err
	}
	if err := c.check(cmd, cfg); err != nil {
		return err
	}
	if _, err := cfg.Keys(); err != nil {
		return err
	}
	question, err := c.question(args[0])
	if err != nil {
		return err
	}
	if strings.TrimSpace(question) == "" {
		return misuse.Errorf(cmd, "QUESTION is empty")
	}
	message, err := input.QuestionWithImages(question, c.images)
	if err != nil {
		return misuse.Errorf(cmd, "--image: %w", err)
	}
	chat := &tasks.Chat{BotID: cfg.Text(settings.Bot, ""), UserID: c.user, AdditionalMessages: []tasks.Message{message}}
	for _, pair := range c.vars {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return misuse.Errorf(cmd, "--var: %q, want NAME=VALUE", pair)
		}
		if chat.CustomVariables == nil {
			chat.CustomVariables = map[string]string{}
		}
		chat.CustomVariables[name] = value
	}
	own := !cfg.Shared() || c.withWorker
	if chat.BotID == "" {
		if own {
			_, err = cfg.Account(cmd.Context(), "")
		}
		return settings.AddMissingBot(err, settings.MissingBot())
	}
	chat.ConversationKey, chat.Stream, chat.Credential = c.conversation, c.stream, c.credential
	if err := chat.Validate(); err != nil {
		return misuse.Errorf(cmd, "%w", err)
	}
	rate, err := cfg.Rate()
	if err != nil {
		return err
	}
	patience, err := pausewatch.TimeoutsOf(cmd, c.patience, pausewatch.Timeouts{Outage: pausewatch.OutageTimeout})
	if err != nil {
		return err
	}
	var account settings.Account
	if own {
		if account, err = c.account(cmd.Context(), cfg, chat); err != nil {
			return err
		}
	}
	logger := terminal.NewLogger(c.streams.Err, c.streams.ErrTTY, level)
	s, err := session.Open(cmd.Context(), cfg, 1, logger)
	if err != nil {
		return err
	}
	defer s.Close()
	if cfg.Shared() {
		// One question is no reason for the warnings that a run has.
		if err := c.rules.Check(cmd.Context(), s.Redis, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
	}

	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	options := tasks.Options{ID: cmp.Or(c.id, uuid.Must(uuid.NewV7()).String()), Queue: c.queue, Timeout: c.timeout}
	if !c.noWait {
		options.Timeout += withdrawal // this process cancels the question: an attempt that ends first would be retried
	}
	watch := pausewatch.New(s, c.queue, patience, cancel)
	watch.Again, watch.Say = askAgain, c.streams.Err
	watch.Flights = func() []progress.Flight { return []progress.Flight{{ID: options.ID, Lane: chat.Lane()}} }
	reason := &waitReason{streams: c.streams, queue: c.queue}
	switch {
	case own:
		wc := worker.Config{
			BotID: chat.BotID, Concurrency: 1, Queues: session.QueuesOf(c.queue), Drain: askDrain, Logger: logger,
			Rate: rate, OnVerdict: func(id string, v worker.Verdict) {
				watch.Verdict(id, v)
				reason.verdict(v)
			},
		}
		if err := s.StartWorker(ctx, account, wc, cancel); err != nil {
			return err
		}
	case !c.noWait:
		if err := s.AwaitServed(ctx, c.queue, c.workerWait, c.streams.Err); err != nil {
			return err
		}
	}
	id, err := s.Tasks.Enqueue(ctx, chat, options)
	switch {
	case c.id != "" && errors.Is(err, tasks.ErrDuplicate): // which may have another text
		fmt.Fprintf(c.streams.Err, "cozeq: a question with --id %s is there already: this one is not asked\n", c.id)
	case err != nil:
		return err
	}
	if c.noWait {
		s.NoteUnserved(c.streams.Err, c.queue, "the question waits until one does")
		_, err := fmt.Fprintln(c.streams.Out, id)
		return err
	}
	defer watch.Start(ctx)()
	defer reason.start(ctx, s, id)()
	return c.await(ctx, s, id)
}

// askAgain is how to go on with a question that was given up.
const askAgain = "ask again"

// account is who asks, known to be accepted. Alone the credential is the worker's
// only one; beside other workers the question has to name it.
func (c *askCommand) account(ctx context.Context, cfg settings.Config, chat *tasks.Chat) (settings.Account, error) {
	if !cfg.Shared() {
		a, err := cfg.Account(ctx, c.credential)
		if err == nil {
			a.Others, chat.Credential = nil, ""
			err = a.Preflight(ctx, c.streams.Err, askAgain)
		}
		return a, err
	}
	a, err := cfg.Account(ctx, "")
	if err != nil {
		return a, err
	}
	if c.credential == "" {
		err = a.Preflight(ctx, c.streams.Err, askAgain)
		return a, err
	}
	i, err := a.Find(cfg, c.credential)
	if err != nil {
		return a, err
	}
	asks := settings.Account{Credential: a.Others[i]}
	err = asks.Preflight(ctx, c.streams.Err, askAgain)
	a.Others[i] = asks.Credential
	return a, err
}

func (c *askCommand) check(cmd *cobra.Command, cfg settings.Config) error {
	if _, err := tasks.Shards(c.queue); err != nil {
		return misuse.Errorf(cmd, "--queue: %w", err)
	}
	if c.id != "" {
		if err := tasks.ValidateID(c.id); err != nil {
			return misuse.Errorf(cmd, "--id: %w", err)
		}
	}
	if c.credential != "" {
		if err := settings.CheckCredentialName(c.credential); err != nil {
			return misuse.Errorf(cmd, "--credential: %w", err)
		}
	}
	if err := session.CheckWorkerWait(cmd, c.workerWait, cfg.Shared()); err != nil {
		return err
	}
	if c.timeout < time.Second {
		return misuse.Errorf(cmd, "--timeout %v, want at least 1s", c.timeout)
	}
	switch {
	case c.noWait && c.withWorker:
		return misuse.Errorf(cmd, "--no-wait and --with-worker: the worker would be gone before it asked")
	case c.json && c.stream:
		return misuse.Errorf(cmd, "--json and --stream: choose one")
	case cmd.Flags().Changed(settings.Rate) && cfg.Shared() && !c.withWorker:
		return misuse.Errorf(cmd, "--rate %w", session.ErrNeedsWorker)
	case cmd.Flags().Changed(settings.MaxAnswer) && cfg.Shared() && !c.withWorker:
		return misuse.Errorf(cmd, "--%s %w", settings.MaxAnswer, session.ErrNeedsWorker)
	case cfg.Shared():
		return nil
	case c.noWait:
		return misuse.Errorf(cmd, "--no-wait %w", session.ErrNeedsRedis)
	case c.conversation != "":
		return misuse.Errorf(cmd, "--conversation %w: the store inside the process forgets it at once", session.ErrNeedsRedis)
	case c.withWorker:
		return misuse.Errorf(cmd, "--with-worker %w; alone there is a worker in any case", session.ErrNeedsRedis)
	}
	return nil
}

func (c *askCommand) question(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	text, err := io.ReadAll(c.streams.In)
	if err != nil {
		return "", fmt.Errorf("read the question from stdin: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

var errPatience = errors.New("the time for an answer is up")

// await prints the answer. Whatever ends the wait early also ends the question, because there is no reader left. An answer
// that was complete by then is paid for, so it is printed.
func (c *askCommand) await(signals context.Context, s *session.Session, id string) error {
	ctx, cancel := context.WithTimeoutCause(signals, c.timeout, errPatience)
	defer cancel()
	printed := &liveAnswer{streams: c.streams}
	if c.stream {
		for d, err := range s.Results.Deltas(ctx, id) {
			if err != nil {
				break // Wait says what is wrong
			}
			if err := printed.add(d); err != nil {
				return err
			}
		}
	}
	r, err := s.Results.Wait(ctx, id)
	if err == nil {
		return c.show(r, printed)
	}
	if ctx.Err() == nil {
		return err
	}
	err = context.Cause(ctx)
	r = c.withdraw(ctx, s, id)
	answered := r != nil && r.Status == results.Completed
	switch {
	case answered && errors.Is(err, context.Canceled):
		return cmp.Or(c.show(r, printed), error(&exitcode.InterruptedError{}))
	case answered:
		return c.show(r, printed)
	case r != nil && c.json:
		if err := panel.WriteRecord(c.streams.Out, r); err != nil {
			return err
		}
	}
	printed.breakLine()
	switch {
	case errors.Is(err, errPatience):
		return fmt.Errorf("no answer within %s: the question was canceled", flags.Format(c.timeout))
	case errors.Is(err, context.Canceled):
		return &exitcode.InterruptedError{Again: "the chat was canceled; ask again for an answer"}
	}
	return err
}

// withdraw cancels the question, at Coze too, waits for its end and returns its record, nil if Redis does not have it.
func (c *askCommand) withdraw(ctx context.Context, s *session.Session, id string) *results.Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawal)
	defer cancel()
	status, err := s.Tasks.Cancel(ctx, id)
	if err == nil && !status.Terminal() {
		_, err = s.Results.Wait(ctx, id)
	}
	if err != nil {
		fmt.Fprintf(c.streams.Err, "cozeq: the question could not be canceled: %v\n", err)
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), site.ReadyTimeout)
	defer cancel()
	r, _ := s.Results.Get(ctx, id)
	return r
}

func (c *askCommand) show(r *results.Result, printed *liveAnswer) error {
	switch {
	case c.json:
		if err := panel.WriteRecord(c.streams.Out, r); err != nil {
			return err
		}
	case r.Sealed != nil:
		printed.breakLine()
	case r.Status == results.Completed:
		if err := printed.finish(r.Answer); err != nil {
			return err
		}
	default:
		printed.breakLine()
	}
	if r.Sealed != nil {
		return exitcode.Unreadable(r)
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(c.streams.Err, "cozeq: note:", terminal.Printable(w))
	}
	return exitcode.Outcome(r)
}
