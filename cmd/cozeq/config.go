package main

import (
	"bytes"
	"cmp"
	"fmt"
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
	"github.com/cozeq/cozeq/internal/textfile"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// setting is read from a flag, an environment variable or its default, in this order. The list of them is also the text
// of help environment.
type setting struct {
	flag  string // "" = no flag: secrets
	env   string
	usage string // a `WORD` in backquotes names the value
	def   string // for the help; the commands that have their own are in defs
	defs  map[string]string
	words []string // the values it takes, if they are few
}

const (
	settingRedis       = "redis"
	settingBase        = "coze-base"
	settingBot         = "bot"
	settingConcurrency = "concurrency"
	settingMaxAnswer   = "max-answer"
	settingQueues      = "queues"
	settingRate        = "rate"
	settingHTTP        = "http"
	settingLog         = "log"
	settingCodes       = "codes"
	settingMonitor     = "monitor"
	settingPrometheus  = "prometheus-addr"

	envToken       = "COZE_API_TOKEN"
	envTokenFile   = "COZE_API_TOKEN_FILE"
	envTokenEnds   = "COZE_API_TOKEN_EXPIRES"
	envJWTClient   = "COZE_JWT_OAUTH_CLIENT_ID"
	envJWTKeyFile  = "COZE_JWT_OAUTH_PRIVATE_KEY_FILE"
	envJWTKeyID    = "COZE_JWT_OAUTH_PUBLIC_KEY_ID"
	envCredentials = "COZEQ_CREDENTIALS_FILE"

	envKeyFile = "COZEQ_ENCRYPTION_KEY_FILE"

	envMonitorToken     = "COZEQ_MONITOR_TOKEN"
	envMonitorTokenFile = "COZEQ_MONITOR_TOKEN_FILE"
)

func settings() []setting {
	return []setting{
		{env: envToken, usage: "personal access token for Coze"},
		{env: envTokenFile, usage: "file with the token instead; read again when it changes"},
		{env: envTokenEnds, usage: "when the token expires, for metrics and alerts, because Coze does not tell: 2026-12-31 or 2026-12-31T08:00:00Z"},
		{env: envJWTClient, usage: "instead of a token: ID of a JWT OAuth app (a service app), which gets its own tokens"},
		{env: envJWTKeyFile, usage: "file with that app's private key, PEM"},
		{env: envJWTKeyID, usage: "fingerprint of that app's public key, as Coze shows it"},
		{env: envCredentials, usage: "JSON file with more credentials; questions choose one by name"},
		{env: envKeyFile, usage: "file with keys, one per line as ID:BASE64; the first encrypts questions and answers in Redis, all decrypt"},
		{flag: settingBase, env: "COZE_API_BASE", usage: "base `URL` of Coze's API; " + coze.BaseURLCom + " for the other region", def: coze.DefaultBaseURL},
		{flag: settingBot, env: "COZE_BOT_ID", usage: "`ID` of the bot for questions that name none"},
		{flag: settingRedis, env: "REDIS_URL", usage: "`URL` of a shared Redis: redis://, rediss://, redis-socket://, redis-sentinel:// or redis-cluster://"},
		{flag: settingConcurrency, env: "COZEQ_CONCURRENCY", usage: "have at most `N` chats in flight in this process", def: strconv.Itoa(worker.DefaultConcurrency)},
		{flag: settingMaxAnswer, env: "COZEQ_MAX_ANSWER", usage: "accept answers of up to `N` MiB; a longer one is cut off and its question fails", def: "8"},
		{flag: settingQueues, env: "COZEQ_QUEUES", usage: "queues to serve, as `NAME=WEIGHT,...`; NAME/N stands for NAME-0 to NAME-(N-1)", def: "critical=6,default=3,low=1"},
		{flag: settingRate, env: "COZEQ_RATE", usage: "start at most `N/s` chats, all processes together; also N/m or N/h", def: "none, Coze's own limit is learnt"},
		{flag: settingHTTP, env: "COZEQ_HTTP", usage: "serve /metrics, /healthz and /readyz on `HOST:PORT`, or off", def: "off",
			defs: map[string]string{"worker": defaultHTTP, "dashboard": defaultDashboard}},
		{flag: settingMonitor, env: "COZEQ_MONITOR", usage: "serve the dashboard at /monitor of a worker's --http", def: "on", words: []string{"on", "off"}},
		{env: envMonitorToken, usage: "token that opens the dashboard, as the password of any user; required where other machines can reach it"},
		{env: envMonitorTokenFile, usage: "file with that token instead; read again when it changes"},
		{flag: settingPrometheus, env: "COZEQ_PROMETHEUS_ADDR", usage: "base `URL` of the Prometheus that scrapes the workers, for the dashboard's charts"},
		{flag: settingLog, env: "COZEQ_LOG", usage: "log this level and worse; text on a terminal, JSON lines elsewhere", def: "warn",
			defs: map[string]string{"worker": "info", "doctor": "error"}, words: []string{"error", "warn", "info", "debug"}},
		{flag: settingCodes, env: "COZEQ_CODES", usage: "JSON `FILE` that changes the table of Coze's error codes"},
		{flag: settingLang, env: "COZEQ_LANG", usage: "language of hints and of explanations of errors", def: "zh in a Chinese locale, else en", words: []string{"en", "zh"}},
	}
}

// defaults are the default of all commands in a sentence.
func (s setting) defaults() string {
	if len(s.defs) == 0 {
		return s.def
	}
	var parts []string
	for _, command := range slices.Sorted(maps.Keys(s.defs)) {
		parts = append(parts, s.defs[command]+" for "+command)
	}
	return strings.Join(append(parts, s.def+" elsewhere"), ", ")
}

// config reads the settings of one command.
type config struct {
	cmd     *cobra.Command
	env     func(string) (string, bool)
	version string // of the program
}

func configOf(cmd *cobra.Command, s *streams) config { return config{cmd, s.Env, s.Version} }

// agent is how the program calls itself in its requests.
func (c config) agent() string { return "cozeq/" + c.version }

// addSettings gives cmd the flags of the named settings.
func addSettings(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		cmd.Flags().AddFlag(settingFlag(cmd, name))
	}
}

func settingFlag(cmd *cobra.Command, name string) *pflag.Flag {
	all := settings()
	s := all[slices.IndexFunc(all, func(s setting) bool { return s.flag == name })]
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.String(s.flag, "", s.usage)
	if s.words != nil {
		flags.OneOf(f, s.flag, s.words...)
	}
	flag := f.Lookup(s.flag)
	flag.DefValue = cmp.Or(s.defs[cmd.Name()], s.def) // of lookup's caller: the flag itself is empty
	flags.SetEnv(flag, s.env)
	return flag
}

// theDefault is the source of what nobody has set.
const theDefault = "the default"

// lookup is the one place where a flag beats its variable and both beat the
// default. The source is for error texts. A variable that is set but empty is as
// good as none; an empty flag means empty.
func (c config) lookup(name, def string) (value, source string) {
	for _, s := range settings() {
		if s.flag != name {
			continue
		}
		if f := c.cmd.Flags().Lookup(name); f != nil && f.Changed {
			return trimmed(f.Value.String()), "--" + name
		}
		if v, _ := c.env(s.env); v != "" {
			return v, s.env
		}
	}
	return def, theDefault
}

func (c config) text(name, def string) string {
	value, _ := c.lookup(name, def)
	return value
}

// bad is wrong usage by a setting's value.
func (c config) bad(source, format string, args ...any) error {
	return &usageError{command: c.cmd.CommandPath(), err: fmt.Errorf("%s: %w", source, fmt.Errorf(format, args...))}
}

// maxConcurrency is more than any account of Coze allows.
const maxConcurrency = 100_000

func (c config) concurrency() (int, error) {
	value, source := c.lookup(settingConcurrency, strconv.Itoa(worker.DefaultConcurrency))
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxConcurrency {
		return 0, c.bad(source, "%q, want a whole number from 1 to %d", value, maxConcurrency)
	}
	return n, nil
}

// mostAnswer is half of what Redis takes as one value: what is encrypted is longer.
const mostAnswer = 256

// maxAnswer is in bytes.
func (c config) maxAnswer() (int, error) {
	value, source := c.lookup(settingMaxAnswer, "8")
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > mostAnswer {
		return 0, c.bad(source, "%q, want a whole number of MiB from 1 to %d", value, mostAnswer)
	}
	return n << 20, nil
}

// queues reads NAME=WEIGHT pairs; a name alone weighs 1. A NAME/N stands for its
// shards, each of that weight.
func (c config) queues() (map[string]int, error) {
	value, source := c.lookup(settingQueues, "")
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
				return nil, c.bad(source, "queue %s: weight %q, want a whole number above 0", name, weight)
			}
		}
		shards, err := tasks.Shards(name)
		if err != nil {
			return nil, c.bad(source, "%w", err)
		}
		for _, name := range shards {
			if _, twice := queues[name]; twice {
				return nil, c.bad(source, "queue %s is named twice", name)
			}
			queues[name] = n
		}
	}
	return queues, nil
}

// http returns the address to serve on, "" for none.
func (c config) http(def string) (string, error) {
	value, source := c.lookup(settingHTTP, def)
	if value == "" || value == "off" {
		return "", nil
	}
	if _, _, err := net.SplitHostPort(value); err != nil {
		return "", c.bad(source, "%q, want HOST:PORT, as 127.0.0.1:9464, or off", value)
	}
	return value, nil
}

func (c config) level(def slog.Level) (slog.Level, error) {
	value, source := c.lookup(settingLog, "")
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
	return 0, c.bad(source, "%q, want error, warn, info or debug", value)
}

func (c config) base() (string, error) {
	value, source := c.lookup(settingBase, coze.DefaultBaseURL)
	if err := checkBase(source, value); err != nil {
		return "", &usageError{command: c.cmd.CommandPath(), err: err}
	}
	return value, nil
}

// checkBase does not repeat the URL: it may hold a password.
func checkBase(source, value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%s: not a base URL, want one as %s", source, coze.DefaultBaseURL)
	}
	return nil
}

// codes is Coze's table with the changes of the file, if there is one.
func (c config) codes() (*coze.CodeTable, error) {
	path, source := c.lookup(settingCodes, "")
	if path == "" {
		return coze.DefaultCodes(), nil
	}
	text, err := textfile.Read(path)
	if err != nil {
		return nil, c.bad(source, "%w", err)
	}
	table, err := coze.DefaultCodes().Override(bytes.NewReader(text))
	if err != nil {
		return nil, c.bad(source, "%s: %w", path, err)
	}
	return table, nil
}

// secret reports whether a setting's value may not be shown: of those without a
// flag all but names of files, ids and days, so that a new one is secret.
func (s setting) secret() bool {
	return s.flag == "" && !slices.ContainsFunc([]string{fileSuffix, idSuffix, endSuffix}, func(suffix string) bool { return strings.HasSuffix(s.env, suffix) })
}

const (
	fileSuffix = "_FILE"
	idSuffix   = "_ID"
	endSuffix  = "_EXPIRES"
)

// defaultHTTP is where the command worker serves its metrics.
const defaultHTTP = "127.0.0.1:9464"
