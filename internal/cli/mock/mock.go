// Package mock is the command mock: it serves coze/cozetest as a program.
package mock

import (
	"bytes"
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

type mockCommand struct {
	streams *terminal.Streams

	addr      string
	tokenFile string
	script    string
	bots      []string
	latency   time.Duration
	pace      time.Duration
	deltas    int
	rate      float64
	rateHTTP  bool
	seed      uint64
	forget    time.Duration
}

func New(s *terminal.Streams) *cobra.Command {
	c := &mockCommand{streams: s}
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
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringVar(&c.addr, "addr", "127.0.0.1:0", "`HOST:PORT` to listen on; port 0 picks a free one")
	f.StringVar(&c.tokenFile, "token-file", "", "`FILE` with the accepted tokens, one per line (default any token)")
	f.StringVar(&c.script, "script", "", "JSON `FILE` with faults to play")
	f.StringSliceVar(&c.bots, "bots", nil, "comma-separated `IDS` of the bots that exist (default every bot)")
	flags.Duration(f, &c.latency, "latency", 0, "time to the first piece of an answer")
	flags.Duration(f, &c.pace, "delta-pace", 0, "time between two pieces of an answer")
	f.IntVar(&c.deltas, "deltas", 8, "split each answer into `N` pieces")
	f.Float64Var(&c.rate, "rate", 0, "refuse chat calls beyond `N` a second with error 4013 (default no limit)")
	f.BoolVar(&c.rateHTTP, "rate-http", false, "refuse with HTTP 429 and Retry-After instead")
	f.Uint64Var(&c.seed, "seed", 0, "seed `N` for ids and random faults")
	flags.Duration(f, &c.forget, "forget", 24*time.Hour, "drop a conversation this long after its last chat; 0 never")
	settings.AddFlags(cmd, settings.Log)
	return cmd
}

func (c *mockCommand) run(cmd *cobra.Command, _ []string) error {
	level, err := settings.Of(cmd, c.streams).Level(slog.LevelWarn)
	if err != nil {
		return err
	}
	cfg, err := c.config(cmd)
	if err != nil {
		return err
	}
	logger := terminal.NewLogger(c.streams.Err, c.streams.ErrTTY, level)
	cfg.Log = func(r cozetest.Request) {
		logger.Info(r.Method+" "+r.Path, "status", r.Status, "code", r.Code, "conversation", r.ConversationID,
			"chat", r.ChatID, "fault", string(r.Fault), "logid", r.LogID)
	}
	m, err := mockserver.Start(cmd.Context(), c.addr, cfg)
	if err != nil {
		return err
	}
	defer m.Close()
	fmt.Fprintln(c.streams.Out, m.URL)
	fmt.Fprintf(c.streams.Err, "mock of Coze; use it with: COZE_API_BASE=%s COZE_API_TOKEN=%s\n", m.URL, c.tokenText())
	select {
	case <-cmd.Context().Done():
		return nil
	case err := <-m.Failed:
		return err
	}
}

func (c *mockCommand) tokenText() string {
	if c.tokenFile != "" {
		return "(one of " + c.tokenFile + ")"
	}
	return "any"
}

func (c *mockCommand) config(cmd *cobra.Command) (cozetest.Config, error) {
	cfg := cozetest.Config{
		Bots: c.bots, Latency: c.latency, DeltaPace: c.pace, Deltas: c.deltas,
		Rate: c.rate, RateHTTP: c.rateHTTP, Seed: c.seed,
		KeepLog: -1, // nobody would read it
		Forget:  c.forget,
	}
	if c.latency < 0 || c.pace < 0 || c.rate < 0 || c.forget < 0 || c.deltas < 1 {
		return cfg, misuse.Errorf(cmd, "--latency, --delta-pace, --rate and --forget must not be negative, --deltas at least 1")
	}
	if c.tokenFile != "" {
		text, err := textfile.Read(c.tokenFile)
		if err != nil {
			return cfg, misuse.Errorf(cmd, "--token-file: %w", err)
		}
		if cfg.Tokens = strings.Fields(string(text)); len(cfg.Tokens) == 0 {
			return cfg, misuse.Errorf(cmd, "--token-file: no token in %s", c.tokenFile)
		}
	}
	if c.script != "" {
		text, err := textfile.Read(c.script)
		if err != nil {
			return cfg, misuse.Errorf(cmd, "--script: %w", err)
		}
		if cfg.Rules, err = cozetest.LoadScript(bytes.NewReader(text)); err != nil {
			return cfg, misuse.Errorf(cmd, "%s: %w", c.script, err)
		}
	}
	return cfg, nil
}
