package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/textfile"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// setting is what a person can set by a flag, by an environment variable or not
// at all, in this order. The list of them is also the text of help environment.
type setting struct {
	flag  string // "" = no flag: secrets
	env   string
	usage string // for flags: the `WORD` in backquotes names the value
	def   string // as help shows it; commands with another default say so
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
		{"", envToken, "personal access token of Coze", ""},
		{"", envTokenFile, "file that holds the token instead; read again when it changes", ""},
		{"", envTokenEnds, "when the token ends, as 2026-12-31 or 2026-12-31T08:00:00Z, for metrics and alerts: Coze does not tell", ""},
		{"", envJWTClient, "instead of a token: id of an OAuth app of type JWT (a service app), which gets its own tokens", ""},
		{"", envJWTKeyFile, "file with that app's private key, PEM", ""},
		{"", envJWTKeyID, "fingerprint of that app's public key, as Coze shows it", ""},
		{"", envCredentials, "JSON file with further credentials, by the names that questions ask for", ""},
		{"", envKeyFile, "file with keys, one a line as ID:BASE64: the first encrypts what stands in Redis of questions and answers, all decrypt it", ""},
		{settingBase, "COZE_API_BASE", "base `URL` of Coze's API, " + coze.BaseURLCom + " for the other region", coze.DefaultBaseURL},
		{settingBot, "COZE_BOT_ID", "`ID` of the bot that answers questions which name none", ""},
		{settingRedis, "REDIS_URL", "`URL` of a shared Redis: redis://, rediss://, redis-socket://, redis-sentinel:// or redis-cluster://", ""},
		{settingConcurrency, "COZEQ_CONCURRENCY", "let at most `N` chats be in flight in this process", strconv.Itoa(worker.DefaultConcurrency)},
		{settingMaxAnswer, "COZEQ_MAX_ANSWER", "take answers of at most `N` MiB; of a longer one the first part is kept and the question fails", "8"},
		{settingQueues, "COZEQ_QUEUES", "serve these queues, as `NAME=WEIGHT,...`; a NAME/N stands for the queues NAME-0 to NAME-(N-1)", "critical=6,default=3,low=1"},
		{settingRate, "COZEQ_RATE", "start at most `N/s` chats, of all processes together, also N/m and N/h; Coze's own limit is found out below it", "none"},
		{settingHTTP, "COZEQ_HTTP", "serve /metrics, /healthz and /readyz on `HOST:PORT`, of worker and dashboard /monitor too, or off", "127.0.0.1:9464 for worker, 127.0.0.1:8081 for dashboard, off elsewhere"},
		{settingMonitor, "COZEQ_MONITOR", "serve the dashboard at /monitor of a worker's --http: `on` or off", "on"},
		{"", envMonitorToken, "token to log in to the dashboard with, as the password of any name; needed where other machines can reach it", ""},
		{"", envMonitorTokenFile, "file that holds that token instead; read again when it changes", ""},
		{settingPrometheus, "COZEQ_PROMETHEUS_ADDR", "base `URL` of the Prometheus that scrapes the workers, for the dashboard's charts", ""},
		{settingLog, "COZEQ_LOG", "log from this `LEVEL` on: error, warn, info or debug; text on a terminal, JSON lines elsewhere", "info for worker, warn elsewhere"},
		{settingCodes, "COZEQ_CODES", "change the table of Coze's error codes by this JSON `FILE`", ""},
		{settingLang, "COZEQ_LANG", "explain error codes, and give hints, in this `LANGUAGE`: en or zh", "zh in a Chinese locale, en elsewhere"},
	}
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
		cmd.Flags().AddFlag(settingFlag(name))
	}
}

func settingFlag(name string) *pflag.Flag {
	all := settings()
	s := all[slices.IndexFunc(all, func(s setting) bool { return s.flag == name })]
	usage := s.usage + " [$" + s.env
	if s.def != "" {
		usage += ", default " + s.def
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.String(s.flag, "", usage+"]")
	return flags.Lookup(s.flag)
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
