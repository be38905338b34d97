// Package settings reads what a person can set: a flag beats its environment variable, and both beat the default. From
// the settings it makes what commands need to ask: tokens, credentials, keys, the address of Redis, an input file's
// options. Secrets come from the environment or a file, and no error repeats one.
package settings

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/internal/textfile"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// Setting is read from a flag, an environment variable or its default, in this order. The list of them is also the text
// of help environment.
type Setting struct {
	Flag  string // "" = no flag: secrets
	Env   string
	Usage string // a `WORD` in backquotes names the value
	Def   string // for the help; the commands that have their own are in defs
	defs  map[string]string
	Words []string // the values it takes, if they are few

	many bool   // the flag may be repeated: its values are joined with commas
	only string // the command that it is for, where another setting has the same flag

	check func(Config, context.Context) error // reads it as the commands do; nil: any text is right, or it is checked with the credentials
}

// Check reads the setting as the commands do and returns its error. Tokens and keys are checked with the credentials.
func (s Setting) Check(ctx context.Context, c Config) error {
	if s.check == nil {
		return nil
	}
	return s.check(c, ctx)
}

// reads is a check that calls what reads the setting.
func reads[T any](read func(Config) (T, error)) func(Config, context.Context) error {
	return readsWith(func(c Config, _ context.Context) (T, error) { return read(c) })
}

func readsWith[T any](read func(Config, context.Context) (T, error)) func(Config, context.Context) error {
	return func(c Config, ctx context.Context) error {
		_, err := read(c, ctx)
		return err
	}
}

// of reports whether the setting is that of a command's flag.
func (s Setting) of(cmd *cobra.Command, flag string) bool {
	return s.Flag == flag && (s.only == "" || s.only == cmd.Name())
}

// FlagOf is the setting's flag of a command, "" where it has none: it is a secret, or its flag is another setting's there.
func (s Setting) FlagOf(cmd *cobra.Command) string {
	if !s.of(cmd, s.Flag) {
		return ""
	}
	return s.Flag
}

const (
	Redis       = "redis"
	Base        = "coze-base"
	Bot         = "bot"
	Concurrency = "concurrency"
	MaxAnswer   = "max-answer"
	Queues      = "queues"
	Rate        = "rate"
	HTTP        = "http"
	Log         = "log"
	Codes       = "codes"
	Monitor     = "monitor"
	Prometheus  = "prometheus-addr"
	Models      = "model"
	Metrics     = "metrics"

	WebhookAllow = "webhook-allow"

	EnvToken       = "COZE_API_TOKEN"
	EnvTokenFile   = "COZE_API_TOKEN_FILE"
	EnvTokenEnds   = "COZE_API_TOKEN_EXPIRES"
	EnvJWTClient   = "COZE_JWT_OAUTH_CLIENT_ID"
	EnvJWTKeyFile  = "COZE_JWT_OAUTH_PRIVATE_KEY_FILE"
	EnvJWTKeyID    = "COZE_JWT_OAUTH_PUBLIC_KEY_ID"
	EnvCredentials = "COZEQ_CREDENTIALS_FILE"

	EnvKeyFile = "COZEQ_ENCRYPTION_KEY_FILE"

	EnvServe          = "COZEQ_SERVE"
	EnvAPIKeys        = "COZEQ_API_KEYS_FILE"
	EnvWebhookSecrets = "COZEQ_WEBHOOK_SECRETS_FILE"

	EnvMonitorToken     = "COZEQ_MONITOR_TOKEN"
	EnvMonitorTokenFile = "COZEQ_MONITOR_TOKEN_FILE"
)

func All() []Setting {
	return []Setting{
		{Env: EnvToken, Usage: "personal access token for Coze"},
		{Env: EnvTokenFile, Usage: "file with the token instead; read again when it changes"},
		{Env: EnvTokenEnds, Usage: "when the token expires, for metrics and alerts, because Coze does not tell: 2026-12-31 or 2026-12-31T08:00:00Z", check: reads(Config.TokenLife)},
		{Env: EnvJWTClient, Usage: "instead of a token: ID of a JWT OAuth app (a service app), which gets its own tokens"},
		{Env: EnvJWTKeyFile, Usage: "file with that app's private key, PEM"},
		{Env: EnvJWTKeyID, Usage: "fingerprint of that app's public key, as Coze shows it"},
		{Env: EnvCredentials, Usage: "JSON file with more credentials; questions choose one by name", check: readsWith(Config.ownCredentials)},
		{Env: EnvKeyFile, Usage: "file with keys, one per line as ID:BASE64; the first encrypts questions and answers in Redis, all decrypt", check: reads(Config.Keys)},
		{Flag: Base, Env: "COZE_API_BASE", Usage: "base `URL` of Coze's API; " + coze.BaseURLCom + " for the other region", Def: coze.DefaultBaseURL, check: reads(Config.Base)},
		{Flag: Bot, Env: "COZE_BOT_ID", Usage: "`ID` of the bot for questions that name none"},
		{Flag: Redis, Env: "REDIS_URL", Usage: "`URL` of a shared Redis: redis://, rediss://, redis-socket://, redis-sentinel:// or redis-cluster://"},
		{Flag: Concurrency, Env: "COZEQ_CONCURRENCY", Usage: "have at most `N` chats in flight in this process", Def: strconv.Itoa(worker.DefaultConcurrency), check: reads(Config.Concurrency)},
		{Flag: MaxAnswer, Env: "COZEQ_MAX_ANSWER", Usage: "accept answers of up to `N` MiB; a longer one is cut off and its question fails", Def: "8", check: reads(Config.MaxAnswer)},
		{Flag: Queues, Env: "COZEQ_QUEUES", Usage: "queues to serve, as `NAME=WEIGHT,...`; NAME/N stands for NAME-0 to NAME-(N-1)", Def: "critical=6,default=3,low=1", check: reads(Config.Queues)},
		{Flag: Rate, Env: "COZEQ_RATE", Usage: "start at most `N/s` chats, all processes together; also N/m or N/h", Def: "none, Coze's own limit is learnt", check: reads(Config.Rate)},
		{Flag: HTTP, Env: EnvServe, only: "serve", Usage: "serve the API on `HOST:PORT`; other machines need an API key", Def: DefaultServe, check: reads(Config.ServesOn)},
		{Flag: Metrics, Env: "COZEQ_METRICS", Usage: "serve /metrics, /healthz and /readyz of 'cozeq serve' on `HOST:PORT` too, without a key; or off", Def: "off", check: reads(Config.Metrics)},
		{Env: EnvAPIKeys, Usage: "file with the API keys of 'cozeq serve' and what each may; read again when it changes", check: reads(Config.APIKeys)},
		{Env: EnvWebhookSecrets, Usage: "file with the secrets that sign webhooks; read again when it changes", check: reads(func(c Config) (*webhook.Secrets, error) { return c.webhookSecrets(nil) })},
		{Flag: WebhookAllow, Env: "COZEQ_WEBHOOK_ALLOW", Usage: "let webhooks and tools go to private addresses of this network, as `CIDR,...`; may be repeated", many: true, check: reads(Config.WebhookAllow)},
		{Flag: Models, Env: "COZEQ_MODELS", Usage: "a name for a bot, as `NAME=BOT,...`; may be repeated", many: true, check: reads(Config.Models)},
		{Flag: HTTP, Env: "COZEQ_HTTP", Usage: "serve /metrics, /healthz and /readyz on `HOST:PORT`, or off", Def: "off",
			defs: map[string]string{"worker": DefaultHTTP, "dashboard": DefaultDashboard}, check: reads(func(c Config) (string, error) { return c.HTTP(DefaultHTTP) })},
		{Flag: Monitor, Env: "COZEQ_MONITOR", Usage: "serve the dashboard at /monitor of a worker's --http", Def: "on", Words: []string{"on", "off"}, check: reads(Config.MonitorOn)},
		{Env: EnvMonitorToken, Usage: "token that opens the dashboard, as the password of any user; required where other machines can reach it", check: readsWith(Config.MonitorToken)},
		{Env: EnvMonitorTokenFile, Usage: "file with that token instead; read again when it changes", check: readsWith(Config.MonitorToken)},
		{Flag: Prometheus, Env: "COZEQ_PROMETHEUS_ADDR", Usage: "base `URL` of the Prometheus that scrapes the workers, for the dashboard's charts", check: reads(Config.Prometheus)},
		{Flag: Log, Env: "COZEQ_LOG", Usage: "log this level and worse; text on a terminal, JSON lines elsewhere", Def: "warn",
			defs: map[string]string{"worker": "info", "doctor": "error"}, Words: []string{"error", "warn", "info", "debug"}, check: reads(func(c Config) (slog.Level, error) { return c.Level(0) })},
		{Flag: Codes, Env: "COZEQ_CODES", Usage: "JSON `FILE` that changes the table of Coze's error codes", check: reads(Config.Codes)},
		{Flag: Lang, Env: "COZEQ_LANG", Usage: "language of hints and of explanations of errors", Def: "zh in a Chinese locale, else en", Words: []string{"en", "zh"}, check: reads(Config.Lang)},
	}
}

func (s Setting) Defaults() string {
	if len(s.defs) == 0 {
		return s.Def
	}
	var parts []string
	for _, command := range slices.Sorted(maps.Keys(s.defs)) {
		parts = append(parts, s.defs[command]+" for "+command)
	}
	return strings.Join(append(parts, s.Def+" elsewhere"), ", ")
}

// Config reads the settings of one command.
type Config struct {
	Cmd     *cobra.Command
	Env     func(string) (string, bool)
	Version string // of the program
}

func Of(cmd *cobra.Command, s *terminal.Streams) Config { return Config{cmd, s.Env, s.Version} }

// Agent is how the program calls itself in its requests.
func (c Config) Agent() string { return "cozeq/" + c.Version }

func AddFlags(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		cmd.Flags().AddFlag(Flag(cmd, name))
	}
}

func Flag(cmd *cobra.Command, name string) *pflag.Flag {
	all := All()
	s := all[slices.IndexFunc(all, func(s Setting) bool { return s.of(cmd, name) })]
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	if s.many {
		f.Var(new(joined), s.Flag, s.Usage)
	} else {
		f.String(s.Flag, "", s.Usage)
	}
	if s.Words != nil {
		flags.OneOf(f, s.Flag, s.Words...)
	}
	flag := f.Lookup(s.Flag)
	flag.DefValue = cmp.Or(s.defs[cmd.Name()], s.Def) // of lookup's caller: the flag itself is empty
	flags.SetEnv(flag, s.Env)
	return flag
}

// joined is the value of a flag that may be repeated.
type joined string

func (j *joined) String() string { return string(*j) }
func (j *joined) Type() string   { return "string" }
func (j *joined) Set(value string) error {
	*j = joined(strings.TrimPrefix(string(*j)+","+value, ","))
	return nil
}

// FromDefault is the source of a value that is not set.
const FromDefault = "the default"

// Lookup is the one place where a flag beats its variable, and both beat the default. The source is for error texts. A
// variable that is set but empty counts as not set. An empty flag means empty.
func (c Config) Lookup(name, def string) (value, source string) {
	for _, s := range All() {
		if !s.of(c.Cmd, name) {
			continue
		}
		if f := c.Cmd.Flags().Lookup(name); f != nil && f.Changed {
			return terminal.Trim(f.Value.String()), "--" + name
		}
		if v, _ := c.Env(s.Env); v != "" {
			return v, s.Env
		}
		break
	}
	return def, FromDefault
}

func (c Config) Text(name, def string) string {
	value, _ := c.Lookup(name, def)
	return value
}

// Errorf is wrong usage by a setting's value.
func (c Config) Errorf(source, format string, args ...any) error {
	return &misuse.Error{Command: c.Cmd.CommandPath(), Err: fmt.Errorf("%s: %w", source, fmt.Errorf(format, args...))}
}

// maxConcurrency is more than any account of Coze allows.
const maxConcurrency = 100_000

func (c Config) Concurrency() (int, error) {
	value, source := c.Lookup(Concurrency, strconv.Itoa(worker.DefaultConcurrency))
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxConcurrency {
		return 0, c.Errorf(source, "%q, want a whole number from 1 to %d", value, maxConcurrency)
	}
	return n, nil
}

// mostAnswer is half of Redis' largest value, as encryption makes an answer longer.
const mostAnswer = 256

// MaxAnswer is in bytes.
func (c Config) MaxAnswer() (int, error) {
	value, source := c.Lookup(MaxAnswer, "8")
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > mostAnswer {
		return 0, c.Errorf(source, "%q, want a whole number of MiB from 1 to %d", value, mostAnswer)
	}
	return n << 20, nil
}

// Queues reads NAME=WEIGHT pairs. A name alone has weight 1. NAME/N stands for its N shards, each with that weight.
func (c Config) Queues() (map[string]int, error) {
	value, source := c.Lookup(Queues, "")
	if value == "" {
		return worker.DefaultQueues(), nil
	}
	queues := map[string]int{}
	for pair := range strings.SplitSeq(value, ",") {
		name, weight, given := strings.Cut(strings.TrimSpace(pair), "=")
		n := 1
		if given {
			var err error
			if n, err = strconv.Atoi(weight); err != nil || n < 1 {
				return nil, c.Errorf(source, "queue %s: weight %q, want a whole number above 0", name, weight)
			}
		}
		shards, err := tasks.Shards(name)
		if err != nil {
			return nil, c.Errorf(source, "%w", err)
		}
		for _, name := range shards {
			if _, twice := queues[name]; twice {
				return nil, c.Errorf(source, "queue %s is named twice", name)
			}
			queues[name] = n
		}
	}
	return queues, nil
}

// HTTP returns the address to serve on, "" for none.
func (c Config) HTTP(def string) (string, error) { return c.address(HTTP, def) }

func (c Config) address(name, def string) (string, error) {
	value, source := c.Lookup(name, def)
	if value == "" || value == "off" {
		return "", nil
	}
	if _, _, err := net.SplitHostPort(value); err != nil {
		return "", c.Errorf(source, "%q, want HOST:PORT, as %s, or off", value, cmp.Or(def, DefaultHTTP))
	}
	return value, nil
}

// Logger logs to w from the level of the setting on; with an error, from def on.
func (c Config) Logger(w io.Writer, tty bool, def slog.Level) (*slog.Logger, error) {
	level, err := c.Level(def)
	return terminal.NewLogger(w, tty, level), err
}

func (c Config) Level(def slog.Level) (slog.Level, error) {
	value, source := c.Lookup(Log, "")
	switch value {
	case "":
		return def, nil
	case "error":
		return slog.LevelError, nil
	case "warn":
		return slog.LevelWarn, nil
	case "info":
		return slog.LevelInfo, nil
	case "debug":
		return slog.LevelDebug, nil
	}
	return def, c.Errorf(source, "%q, want error, warn, info or debug", value)
}

func (c Config) Base() (string, error) {
	value, source := c.Lookup(Base, coze.DefaultBaseURL)
	if err := checkBase(source, value); err != nil {
		return "", &misuse.Error{Command: c.Cmd.CommandPath(), Err: err}
	}
	return value, nil
}

// checkBase does not repeat the URL: it may hold a password.
func checkBase(source, value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%s: not a base URL, want one such as %s", source, coze.DefaultBaseURL)
	}
	return nil
}

// Codes is Coze's table with the changes of the file, if there is one.
func (c Config) Codes() (*coze.CodeTable, error) {
	path, source := c.Lookup(Codes, "")
	if path == "" {
		return coze.DefaultCodes(), nil
	}
	text, err := textfile.Read(path)
	if err != nil {
		return nil, c.Errorf(source, "%w", err)
	}
	table, err := coze.DefaultCodes().Override(bytes.NewReader(text))
	if err != nil {
		return nil, c.Errorf(source, "%s: %w", path, err)
	}
	return table, nil
}

// Secret reports whether a setting's value may not be shown. A setting without a flag is secret unless it is a file's name, an
// id or a day. So a new setting is secret by default.
func (s Setting) Secret() bool {
	return s.Flag == "" && !slices.ContainsFunc([]string{FileSuffix, idSuffix, endSuffix}, func(suffix string) bool { return strings.HasSuffix(s.Env, suffix) })
}

const (
	FileSuffix = "_FILE"
	idSuffix   = "_ID"
	endSuffix  = "_EXPIRES"
)

// DefaultHTTP is where the command worker serves its metrics.
const DefaultHTTP = "127.0.0.1:9464"

// DefaultServe is where the command serve listens.
const DefaultServe = "127.0.0.1:8787"

// DefaultDashboard is where the command dashboard serves.
const DefaultDashboard = "127.0.0.1:8081"
