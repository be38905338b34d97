// Package mock is the command mock: it serves coze/cozetest as a program.
package mock

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/mockserver"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/internal/textfile"
)

// Options are what the command line says.
type Options struct {
	Streams   *terminal.Streams
	Settings  settings.Config
	Addr      string
	TokenFile string          // "": any token is good
	Script    string          // file with rules
	Mock      cozetest.Config // its Tokens and Rules come from the files
}

func New(s *terminal.Streams) *cobra.Command {
	o := &Options{Streams: s, Mock: cozetest.Config{KeepLog: -1}} // no caller reads the log
	cmd := &cobra.Command{
		Use:   "mock",
		Short: "Serve a mock of the Coze API",
		Long: `Serves a mock of the Coze API: conversations, chats (streamed or not), messages,
polling and cancellation, with Coze's errors and limits. The first line on
stdout is its URL. It serves until a signal.

Faults come from a script or from the question itself: one that contains
[[mock:code=4013 times=2]] is refused twice and then answered, and
[[mock:cut=5]] ends the stream after five events.`,
		Example: `  cozeq mock --addr 127.0.0.1:8080 --latency 500ms --delta-pace 30ms
  COZE_API_BASE=http://127.0.0.1:8080 COZE_API_TOKEN=any \
    cozeq ask --bot b "hello"`,
		Args: misuse.CheckArgs(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Settings = settings.Of(cmd, s)
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Addr, "addr", "127.0.0.1:0", "`HOST:PORT` to listen on; port 0 picks a free one")
	f.StringVar(&o.TokenFile, "token-file", "", "`FILE` with the accepted tokens, one per line (default any token)")
	f.StringVar(&o.Script, "script", "", "JSON `FILE` with faults to play")
	f.StringSliceVar(&o.Mock.Bots, "bots", nil, "comma-separated `IDS` of the bots that exist (default every bot)")
	flags.Duration(f, &o.Mock.Latency, "latency", 0, "time to the first piece of an answer")
	flags.Duration(f, &o.Mock.DeltaPace, "delta-pace", 0, "time between two pieces of an answer")
	f.IntVar(&o.Mock.Deltas, "deltas", 8, "split each answer into `N` pieces")
	f.Float64Var(&o.Mock.Rate, "rate", 0, "refuse chat calls beyond `N` a second with error 4013 (default no limit)")
	f.BoolVar(&o.Mock.RateHTTP, "rate-http", false, "refuse with HTTP 429 and Retry-After instead")
	f.Uint64Var(&o.Mock.Seed, "seed", 0, "seed `N` for ids and random faults")
	flags.Duration(f, &o.Mock.Forget, "forget", 24*time.Hour, "drop a conversation this long after its last chat; 0 never")
	settings.AddFlags(cmd, settings.Log)
	return cmd
}

func run(ctx context.Context, o *Options) error {
	logger, err := o.Settings.Logger(o.Streams.Err, o.Streams.ErrTTY, slog.LevelWarn)
	if err != nil {
		return err
	}
	if err := o.readFiles(); err != nil {
		return err
	}
	o.Mock.Log = func(r cozetest.Request) {
		logger.Info(r.Method+" "+r.Path, "status", r.Status, "code", r.Code, "conversation", r.ConversationID,
			"chat", r.ChatID, "fault", string(r.Fault), "logid", r.LogID)
	}
	m, err := mockserver.Start(ctx, o.Addr, o.Mock)
	if err != nil {
		return err
	}
	defer m.Close()
	token := "any"
	if o.TokenFile != "" {
		token = "(one of " + o.TokenFile + ")"
	}
	fmt.Fprintln(o.Streams.Out, m.URL)
	fmt.Fprintf(o.Streams.Err, "mock of Coze; use it with: COZE_API_BASE=%s COZE_API_TOKEN=%s\n", m.URL, token)
	select {
	case <-ctx.Done():
		return nil
	case err := <-m.Failed:
		return err
	}
}

// readFiles checks the flags and reads the files of tokens and of rules.
func (o *Options) readFiles() error {
	cmd := o.Settings.Cmd
	if o.Mock.Latency < 0 || o.Mock.DeltaPace < 0 || o.Mock.Rate < 0 || o.Mock.Forget < 0 || o.Mock.Deltas < 1 {
		return misuse.Errorf(cmd, "--latency, --delta-pace, --rate and --forget must not be negative, --deltas at least 1")
	}
	if o.TokenFile != "" {
		text, err := textfile.Read(o.TokenFile)
		if err != nil {
			return misuse.Errorf(cmd, "--token-file: %w", err)
		}
		if o.Mock.Tokens = strings.Fields(string(text)); len(o.Mock.Tokens) == 0 {
			return misuse.Errorf(cmd, "--token-file: no token in %s", o.TokenFile)
		}
	}
	if o.Script != "" {
		text, err := textfile.Read(o.Script)
		if err != nil {
			return misuse.Errorf(cmd, "--script: %w", err)
		}
		if o.Mock.Rules, err = cozetest.LoadScript(bytes.NewReader(text)); err != nil {
			return misuse.Errorf(cmd, "%s: %w", o.Script, err)
		}
	}
	return nil
}
