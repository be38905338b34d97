// Package run is the command run: it asks every question of a file and writes every answer. It reads the settings
// (setup.go), opens a session, lets internal/filerun do the work (run.go) and says how it ended (end.go).
package run

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/command"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/pausewatch"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

type options struct {
	streams *terminal.Streams

	output      string
	workflow    settings.WorkflowFlags
	onResult    string
	command     command.Command // of onResult
	input       settings.InputFlags
	questions   settings.QuestionFlags
	demo        bool
	withWorker  bool
	bounds      runBounds
	rules       session.RedisRules
	tools       session.Tools
	retryFailed bool
	force       bool
	json        bool
	window      int
	keep        time.Duration
	drain       time.Duration
	patience    time.Duration
	workerWait  time.Duration
}

// New is the command run.
func New(s *terminal.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "run INPUT [-o OUTPUT]",
		Short: "Ask every question of a file and write every answer",
		Long: `Asks every question of INPUT and writes one record for each, in the order of
INPUT. Without --redis this process does the work itself; it first checks that
Coze accepts the token. With --redis the workers there do the work.

INPUT is .jsonl (our rows or those of OpenAI's batches), .json (an array of
objects), .csv, .tsv or .xlsx (a header row, with a column question or the one
of --question-col), .txt (one question per line), or - for stdin. All but .xlsx
may be compressed (.gz). Encoding and delimiter are detected.

A row may also have custom_id, bot_id, user_id, conversation_id,
conversation_key, custom_variables, parameters and meta_data, and files to send
with the question: file and image (paths of files, which are uploaded),
file_url, file_id, image_url, image_id. Questions with the same
conversation_key are asked one after the other, in one conversation.

With --workflow each row is a run of that workflow: a column is a parameter of
its name, as text, or of a type: days:int, :float, :bool, :json, :file or :image
(a path, which is uploaded, or a URL). In a table each field of the outputs
becomes a column, output.NAME. With --chatflow the rows are questions to that
chatflow.

OUTPUT has one record per row, after the input's own columns. It exists only
when it is complete. Until then, OUTPUT.partial is the journal. After any
interruption, run the same command again: it asks nothing that was answered,
and looks up the chats that were in flight. Without -o, records go to stdout as
they end, and a run cannot be resumed. A pipe on stdin is then read line by
line, so a program may write a question and wait for its record; a bad line
gets a record of class invalid.

--estimate asks a sample and says what the rest will cost. --max-tokens and
--max-questions stop the run with exit code 3; run it again with a higher limit
to continue. --cache never asks what any run with the same DIR has answered.

While Coze refuses everything, because the token is invalid or the quota is used
up, the run waits for --patience and then ends with exit code 4. If Coze is
unreachable, it ends with exit code 1. A bot that cannot be asked delays its own
questions only.

--on-result starts COMMAND once, without a shell, and writes each record to its
stdin as it ends. COMMAND acknowledges them in their order, with a line on
stdout for each. What it has not acknowledged when it dies goes to a new one,
and the same run again sends only that: each record at least once. OUTPUT is
complete when all are acknowledged.

The first signal lets the chats in flight finish (--drain). A second one stops
at once.`,
		Example: `  cozeq run --demo
  cozeq run questions.csv -o answers.csv --bot 73428668
  cozeq run 客服问题.xlsx --sheet 三月 --question-col 问题 -o answers.xlsx
  cozeq run texts.csv.gz --prompt 'Translate: {{.text}}' -o out.jsonl.gz
  cozeq run questions.csv -o answers.csv --redis redis://localhost:6379/0
  cozeq run questions.csv -o answers.csv --estimate
  cozeq run questions.csv -o answers.csv --max-tokens 1000000 --cache answers
  cozeq run questions.csv -o answers.csv --retry-failed
  cozeq run cities.csv -o weather.csv --workflow 73664689170551
  cozeq run questions.csv -o answers.csv --on-result './import --table qa'
  generate | cozeq run - --format txt | jq -r .answer`,
		Args: misuse.CheckArgs(0, 1, "INPUT"),
		RunE: o.run,
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "write answers to `FILE`: .jsonl, .json, .csv, .tsv, .xlsx or .parquet; the first four also with .gz")
	f.StringVar(&o.onResult, "on-result", "", "with -o: hand each record to this `COMMAND`, as a line of JSON on its stdin; it answers each with a line")
	o.input.Add(cmd)
	o.workflow.Add(cmd)
	f.BoolVar(&o.demo, "demo", false, "ask the built-in mock of Coze: no token, no costs; without INPUT, a few sample questions")
	f.BoolVar(&o.withWorker, "with-worker", false, "with --redis: run a worker in this process too")
	o.rules.AddFlag(f)
	o.tools.AddFlags(cmd)
	o.bounds.add(cmd)
	f.BoolVar(&o.retryFailed, "retry-failed", false, "ask the failed questions again")
	f.BoolVar(&o.force, "force", false, "start over: discard OUTPUT and its journal")
	f.BoolVar(&o.json, "json", false, "with -o: print the summary as JSON on stdout; in a pipe, progress as JSON lines on stderr")
	f.IntVar(&o.window, "window", 0, "keep at most `N` questions in Redis at a time (default 10000)")
	flags.Duration(f, &o.keep, "keep", 0, "with --redis: keep the run's batch, and results not yet collected, this long after the last question ends; at least 7d")
	settings.AddDrain(cmd, &o.drain)
	pausewatch.AddFlag(cmd, &o.patience, "10m for the quota, 2m while Coze is unreachable, 0s for a token or bot that is refused")
	session.AddWorkerWait(cmd, &o.workerWait)
	o.questions.AddMany(cmd, "ask with the credential of this `NAME` in $COZEQ_CREDENTIALS_FILE; with --redis, in the workers' file")
	settings.AddFlags(cmd, settings.Redis, settings.Base, settings.Bot, settings.Concurrency, settings.Queues, settings.Rate, settings.HTTP, settings.Log, settings.Codes, settings.MaxAnswer)
	return cmd
}
