// Package ask is the command ask: one question, its answer on stdout.
package ask

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/panel"
	"github.com/cozeq/cozeq/internal/parameter"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

const (
	// drain bounds the end of ask's own worker: the one chat is over by then.
	drain = 5 * time.Second

	// withdrawal bounds the wait for a canceled question's end. It is longer than the worker waits for Coze.
	withdrawal = 15 * time.Second

	// readTime bounds the last look at the record.
	readTime = 2 * time.Second

	// askAgain is how to go on after a question that was given up.
	askAgain = "ask again"
)

type options struct {
	streams *terminal.Streams

	stream       bool
	noWait       bool
	withWorker   bool
	json         bool
	conversation string
	questions    settings.QuestionFlags
	patience     time.Duration
	workerWait   time.Duration
	rules        session.RedisRules
	tools        session.Tools

	id, user string
	vars     []string
	images   []string
	files    []string
	workflow workflow
}

func New(s *terminal.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "ask QUESTION",
		Short: "Ask one question",
		Long: `Asks one question and prints the answer. The QUESTION - is read from stdin.
Without --redis this process asks Coze itself; it first checks that Coze accepts
the token. With --redis the workers there ask.

A signal cancels the chat, also at Coze.

With --workflow it runs a workflow: each argument is a parameter, NAME=VALUE or
with a type NAME:int=VALUE (float, bool, json; file: a file to upload), or a
single one is all of them as a JSON object. The output of its end node is printed. With --chatflow the
QUESTION goes to that chatflow.`,
		Example: `  cozeq ask "What is a goroutine?"
  cozeq ask --stream "Tell me a story"
  cozeq ask --redis redis://localhost:6379/0 --conversation alice "And then?"
  cozeq ask --image https://example.com/cat.png "What is this?"
  cozeq ask --file cat.png --file notes.pdf "What is on the picture?"
  cozeq ask --var city=Chengdu --user u1 "What is the weather like?"
  cozeq ask --workflow 73664689170551 city=Berlin days:int=3
  cozeq ask --chatflow 74398280736104 --bot 73428668 "What is new?"
  id=$(cozeq ask --redis redis://localhost:6379/0 --no-wait "A long one")
  cozeq result "$id" --wait 5m --redis redis://localhost:6379/0`,
		Args: o.args,
		RunE: o.run,
	}
	f := cmd.Flags()
	f.BoolVar(&o.stream, "stream", false, "print the answer as it arrives; with --no-wait: publish its pieces for others")
	f.BoolVar(&o.noWait, "no-wait", false, "with --redis: print the question's id and do not wait for the answer")
	f.BoolVar(&o.withWorker, "with-worker", false, "with --redis: run a worker in this process too")
	f.BoolVar(&o.json, "json", false, "print the whole result as JSON")
	f.StringVar(&o.id, "id", "", "`ID` of the question; with --redis an ID that exists is not asked again, its answer is awaited")
	f.StringVar(&o.user, "user", "", "`ID` of the user who asks, as Coze's user_id (default "+tasks.DefaultUserID+")")
	f.StringArrayVar(&o.vars, "var", nil, "set a variable of the bot, as `NAME=VALUE`; may be repeated")
	f.StringArrayVar(&o.images, "image", nil, "`URL` of a picture to send with the question, or the ID of a file at Coze; may be repeated")
	f.StringArrayVar(&o.files, "file", nil, "upload `FILE` and send it with the question; may be repeated")
	f.StringVar(&o.conversation, "conversation", "", "with --redis: continue the conversation with this `KEY`, a name of your own")
	o.workflow.addFlags(cmd)
	o.questions.AddOne(cmd, "ask with the credential of this `NAME` in $COZEQ_CREDENTIALS_FILE; with --redis, in the workers' file", "cancel the question if there is no answer after this time")
	settings.AddFlags(cmd, settings.Redis, settings.Base, settings.Bot, settings.Rate, settings.Log, settings.Codes, settings.MaxAnswer)
	pausewatch.AddFlag(cmd, &o.patience, "2m while Coze is unreachable, else 0s")
	session.AddWorkerWait(cmd, &o.workerWait)
	o.rules.AddFlag(f)
	o.tools.AddFlags(cmd)
	return cmd
}

// request is a question that was checked, with the settings to ask it.
type request struct {
	cfg     settings.Config
	chat    *tasks.Chat
	options tasks.Options
	logger  *slog.Logger

	worker  *worker.Config   // of this process; nil: others ask
	account settings.Account // that asks, or uploads

	timeouts pausewatch.Timeouts
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	r, err := o.read(cmd, args)
	if err != nil {
		return err
	}
	return o.ask(cmd.Context(), r)
}

// read checks the command line and the settings. Coze is called for the token alone, and only if this process asks.
func (o *options) read(cmd *cobra.Command, args []string) (r request, err error) {
	r.cfg = settings.Of(cmd, o.streams)
	if r.logger, err = r.cfg.Logger(o.streams.Err, o.streams.ErrTTY, slog.LevelWarn); err != nil {
		return r, err
	}
	if err := o.check(cmd, r.cfg); err != nil {
		return r, err
	}
	if _, err := r.cfg.Keys(); err != nil {
		return r, err
	}
	if o.workflow.id != "" {
		r.chat, err = o.runChat(cmd, args)
	} else if r.chat, err = o.chat(cmd, args[0]); err == nil {
		err = o.toChatflow(cmd, r.chat)
	}
	if err != nil {
		return r, err
	}
	own := !r.cfg.Shared() || o.withWorker
	if !r.chat.IsWorkflow() && r.chat.AppID == "" {
		r.chat.BotID = r.cfg.Text(settings.Bot, "")
	}
	if r.chat.Holder() == "" && !r.chat.IsWorkflow() {
		if own {
			_, err = r.cfg.Account(cmd.Context(), "")
		}
		return r, settings.AddMissingBot(err, settings.MissingBot())
	}
	if err := r.chat.Validate(); err != nil {
		return r, misuse.Errorf(cmd, "%w", err)
	}
	rate, err := r.cfg.Rate()
	if err != nil {
		return r, err
	}
	if r.timeouts, err = pausewatch.TimeoutsOf(cmd, o.patience, pausewatch.Timeouts{Outage: pausewatch.OutageTimeout}); err != nil {
		return r, err
	}
	r.options = tasks.Options{ID: cmp.Or(o.id, uuid.Must(uuid.NewV7()).String()), Queue: o.questions.Queue, Timeout: o.questions.Timeout}
	if !o.noWait {
		r.options.Timeout += withdrawal // this process cancels the question: an attempt that ends first would be retried
	}
	if own {
		r.worker = &worker.Config{
			BotID: r.chat.BotID, Concurrency: 1, Queues: session.QueuesOf(o.questions.Queue), Drain: drain, Logger: r.logger, Rate: rate,
		}
	}
	if err := o.tools.Apply(r.cfg, r.worker); err != nil {
		return r, err
	}
	switch {
	case own:
		r.account, err = o.account(cmd.Context(), r.cfg, r.chat)
	case len(o.files)+len(o.workflow.files) > 0: // the workers do not see the files
		r.account, err = r.cfg.UploadAccount(cmd.Context(), o.questions.Credential)
	}
	return r, err
}

// attach uploads the files, and puts them behind the question or into parameters.
func (o *options) attach(ctx context.Context, s *session.Session, r request) error {
	if len(o.files)+len(o.workflow.files) == 0 {
		return nil
	}
	uploader := s.Uploader(r.account)
	for _, f := range o.workflow.files {
		id, err := uploader.Upload(ctx, f.path, "")
		if err != nil {
			return notUploaded(err)
		}
		r.chat.Parameters[f.name], _ = json.Marshal(parameter.File(id)) // strings always encode
	}
	if len(o.files) == 0 {
		return nil
	}
	files, err := input.Images(o.images)
	if err != nil {
		return err
	}
	for _, path := range o.files {
		id, err := uploader.Upload(ctx, path, "")
		if err != nil {
			return notUploaded(err)
		}
		kind, _ := coze.FileType(path)
		files = append(files, messages.File{Kind: kind, ID: id})
	}
	question := &r.chat.AdditionalMessages[0]
	*question = messages.Question(messages.Text(question), files)
	return nil
}

// notUploaded is the command's end where a file could not be uploaded.
func notUploaded(err error) error {
	refused, ok := errors.AsType[*coze.Error](err)
	switch {
	case errors.As(err, new(*attachment.FileError)) && ok:
		return &exitcode.HintedError{Err: err, Hint: refused.Hint()}
	case ok:
		return &exitcode.StoppedError{Class: refused.Class, Err: err, Again: askAgain}
	}
	return err
}

func (o *options) chat(cmd *cobra.Command, question string) (*tasks.Chat, error) {
	if question == "-" {
		text, err := io.ReadAll(o.streams.In)
		if err != nil {
			return nil, fmt.Errorf("read the question from stdin: %w", err)
		}
		question = strings.TrimSpace(string(text))
	}
	if strings.TrimSpace(question) == "" {
		return nil, misuse.Errorf(cmd, "QUESTION is empty")
	}
	images, err := input.Images(o.images)
	if err != nil {
		return nil, misuse.Errorf(cmd, "--image: %w", err)
	}
	for _, path := range o.files {
		if err := attachment.Check(path); err != nil {
			return nil, misuse.Errorf(cmd, "--file: %w", err)
		}
	}
	chat := &tasks.Chat{
		UserID: o.user, AdditionalMessages: []tasks.Message{messages.Question(question, images)},
		ConversationKey: o.conversation, Stream: o.stream, Credential: o.questions.Credential,
	}
	for _, pair := range o.vars {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, misuse.Errorf(cmd, "--var: %q, want NAME=VALUE", pair)
		}
		if chat.CustomVariables == nil {
			chat.CustomVariables = map[string]string{}
		}
		chat.CustomVariables[name] = value
	}
	return chat, nil
}

// ask enqueues the question, has a worker ask it and prints the answer.
func (o *options) ask(signals context.Context, r request) error {
	s, err := session.Open(signals, r.cfg, 1, r.logger)
	if err != nil {
		return err
	}
	defer s.Close()
	if r.cfg.Shared() {
		// A run logs warnings about this Redis; one question does not.
		if err := o.rules.Check(signals, s.Redis, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(signals)
	defer cancel(nil)
	watch := pausewatch.New(s, o.questions.Queue, r.timeouts, cancel)
	watch.Again, watch.Say = askAgain, o.streams.Err
	watch.OpenRows = func() []progress.OpenRow { return []progress.OpenRow{{ID: r.options.ID, Lane: r.chat.Lane()}} }
	reason := &waitReason{streams: o.streams, queue: o.questions.Queue}
	switch {
	case r.worker != nil:
		r.worker.OnVerdict = func(id string, v worker.Verdict) {
			watch.Verdict(id, v)
			reason.verdict(v)
		}
		if err := s.StartWorker(ctx, r.account, *r.worker, cancel); err != nil {
			return err
		}
	case !o.noWait:
		if err := s.AwaitServed(ctx, o.questions.Queue, o.workerWait, o.streams.Err); err != nil {
			return err
		}
	}
	if err := o.attach(ctx, s, r); err != nil {
		return err
	}
	id, err := s.Tasks.Enqueue(ctx, r.chat, r.options)
	switch {
	case o.id != "" && errors.Is(err, tasks.ErrDuplicate): // it may have another text
		fmt.Fprintf(o.streams.Err, "cozeq: a question with --id %s exists already: nothing was asked\n", o.id)
	case err != nil:
		return err
	}
	if o.noWait {
		s.NoteUnserved(o.streams.Err, o.questions.Queue, "the question waits until one does")
		_, err := fmt.Fprintln(o.streams.Out, id)
		return err
	}
	defer watch.Start(ctx)()
	defer reason.start(ctx, s, id)()
	return o.await(ctx, s, id)
}

// account is who asks; Coze has accepted its token. Alone the chosen credential is the worker's only one. Beside other
// workers the question names it.
func (o *options) account(ctx context.Context, cfg settings.Config, chat *tasks.Chat) (settings.Account, error) {
	if !cfg.Shared() {
		a, err := cfg.Account(ctx, o.questions.Credential)
		if err == nil {
			a.Others, chat.Credential = nil, ""
			err = a.Preflight(ctx, o.streams.Err, askAgain)
		}
		return a, err
	}
	a, err := cfg.Account(ctx, "")
	if err != nil {
		return a, err
	}
	if o.questions.Credential == "" {
		err = a.Preflight(ctx, o.streams.Err, askAgain)
		return a, err
	}
	i, err := a.Find(cfg, o.questions.Credential)
	if err != nil {
		return a, err
	}
	asks := settings.Account{Credential: a.Others[i]}
	err = asks.Preflight(ctx, o.streams.Err, askAgain)
	a.Others[i] = asks.Credential
	return a, err
}

func (o *options) check(cmd *cobra.Command, cfg settings.Config) error {
	if err := o.questions.Check(cmd); err != nil {
		return err
	}
	if o.id != "" {
		if err := tasks.ValidateID(o.id); err != nil {
			return misuse.Errorf(cmd, "--id: %w", err)
		}
	}
	if err := session.CheckWorkerWait(cmd, o.workerWait, cfg.Shared()); err != nil {
		return err
	}
	if err := session.CheckOwnWorker(cmd, o.withWorker, cfg.Shared(), settings.WebhookAllow); err != nil {
		return err
	}
	switch {
	case o.noWait && o.withWorker:
		return misuse.Errorf(cmd, "--no-wait and --with-worker: the worker would be gone before it asked")
	case o.json && o.stream:
		return misuse.Errorf(cmd, "--json and --stream: choose one")
	case cfg.Shared():
		return nil
	case o.noWait:
		return misuse.Errorf(cmd, "--no-wait %w", session.ErrNeedsRedis)
	case o.conversation != "":
		return misuse.Errorf(cmd, "--conversation %w: the store inside the process forgets it at once", session.ErrNeedsRedis)
	}
	return nil
}

var errTimeout = errors.New("the time for an answer is up")

// await prints the answer. Whatever ends the wait early also ends the question, because there is no reader left. An answer
// that was complete by then is paid for, so it is printed.
func (o *options) await(signals context.Context, s *session.Session, id string) error {
	ctx, cancel := context.WithTimeoutCause(signals, o.questions.Timeout, errTimeout)
	defer cancel()
	printed := &liveAnswer{streams: o.streams}
	if o.stream {
		for p, err := range s.Tasks.Stream(ctx, id) {
			if err != nil {
				break // Wait says what is wrong
			}
			if err := printed.add(p); err != nil {
				return err
			}
		}
	}
	r, err := s.Results.Wait(ctx, id)
	if err == nil {
		return o.show(r, printed)
	}
	if !session.Over(ctx) {
		return err
	}
	err = context.Cause(ctx)
	r = o.withdraw(ctx, s, id)
	answered := r != nil && r.Status == results.Completed
	switch {
	case answered && errors.Is(err, context.Canceled):
		return cmp.Or(o.show(r, printed), error(&exitcode.InterruptedError{}))
	case answered:
		return o.show(r, printed)
	case r != nil && o.json:
		if err := panel.WriteRecord(o.streams.Out, r); err != nil {
			return err
		}
	}
	printed.breakLine()
	switch {
	case errors.Is(err, errTimeout):
		return fmt.Errorf("no answer within %s: the question was canceled", flags.Format(o.questions.Timeout))
	case errors.Is(err, context.Canceled):
		return &exitcode.InterruptedError{Again: "the chat was canceled; ask again for an answer"}
	}
	return err
}

// withdraw cancels the question, at Coze too, waits for its end and returns its record, nil if Redis does not have it.
func (o *options) withdraw(ctx context.Context, s *session.Session, id string) *results.Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawal)
	defer cancel()
	status, err := s.Tasks.Cancel(ctx, id)
	if err == nil && !status.Terminal() {
		_, err = s.Results.Wait(ctx, id)
	}
	if err != nil {
		fmt.Fprintf(o.streams.Err, "cozeq: the question could not be canceled: %v\n", err)
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), readTime)
	defer cancel()
	r, _ := s.Results.Get(ctx, id)
	return r
}

func (o *options) show(r *results.Result, printed *liveAnswer) error {
	switch {
	case o.json:
		if err := panel.WriteRecord(o.streams.Out, r); err != nil {
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
		fmt.Fprintln(o.streams.Err, "cozeq: note:", terminal.Printable(w))
	}
	switch {
	case r.AsksBack == "":
	case r.ConversationKey != "":
		fmt.Fprintf(o.streams.Err, "cozeq: note: the bot asks back: reply with --conversation %s\n", terminal.Printable(r.ConversationKey))
	default:
		fmt.Fprintln(o.streams.Err, "cozeq: note: the bot asks back: ask with --conversation KEY, and reply with the same KEY")
	}
	return exitcode.Outcome(r)
}
