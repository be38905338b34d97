package help

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

// New is cobra's help, but a topic that there is not is wrong usage.
func New() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND or TOPIC]",
		Short:   "Explain a command or a topic",
		Long:    `Explains a command or a topic. The topics are environment and exit-codes.`,
		Example: "  cozeq help run\n  cozeq help exit-codes",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			if len(args) == 0 {
				for _, c := range cmd.Root().Commands() {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return misuse.Errorf(cmd, "%w", err)
			}
			if len(rest) > 0 {
				return misuse.UnknownCommand(about, rest)
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// NewEnvironment is "help environment", made of the settings themselves.
func NewEnvironment() *cobra.Command {
	var b strings.Builder
	b.WriteString(`A flag beats its environment variable, and both beat the default. Secrets come
from the environment or from a file, never from a flag.

`)
	for _, s := range settings.All() {
		name := s.Env
		if s.Flag != "" {
			name += ", --" + s.Flag
		}
		if len(s.Words) > 0 {
			name += " {" + strings.Join(s.Words, "|") + "}"
		}
		b.WriteString("  " + name + "\n" + terminal.Wrap(strings.ReplaceAll(s.Usage, "`", ""), "      ", pipeHelp))
		if def := s.Defaults(); def != "" {
			b.WriteString(terminal.Wrap("(default "+def+")", "      ", pipeHelp))
		}
	}
	b.WriteString(`
Without REDIS_URL, run and ask use a store inside the process. The other
commands need a shared Redis. The first of these that is set gives the token:
` + settings.EnvToken + `, ` + settings.EnvTokenFile + `, the three variables of the
OAuth app, the credential "` + settings.DefaultCredential + `" of ` + settings.EnvCredentials + `.

` + settings.EnvCredentials + ` has this form; file names are relative to it:
    {"alice": {"token_file": "alice.txt"},
     "shop":  {"jwt": {"client_id": "1110", "private_key_file": "shop.pem",
                       "public_key_id": "k1b2"},
               "base": "https://api.coze.com"}}
Each entry has either token_file or jwt. base defaults to COZE_API_BASE. A token
may have "expires", which means the same as ` + settings.EnvTokenEnds + `.

Spaces, line ends and byte order marks around a value are removed. Files that
settings name are UTF-8, or UTF-16 with a byte order mark.

Forms of REDIS_URL:
    redis://USER:PASSWORD@HOST:6379/0         rediss:// for TLS
    redis-socket:///run/redis.sock?db=0
    redis-sentinel://HOST1,HOST2:26379/0?master=NAME
    redis-cluster://HOST1:7000,HOST2:7001     tls=true for TLS
User and password are those of Redis. The options sentinel_username and
sentinel_password are those of the sentinels. Options for TLS, in every form:
    ca=FILE              trust these certificates (PEM) instead of the system's
    cert=FILE&key=FILE   the client's certificate, if the server requires one
    server_name=NAME     the name in the server's certificate

Commands that ask Coze send traces to the OpenTelemetry collector at
OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. The other
OTEL_ variables of the SDK work too. TRACEPARENT names the parent span of the
questions that a command enqueues.

NO_COLOR, set to anything, turns colour off.`)
	return &cobra.Command{Use: "environment", Short: "Environment variables, and the flags that beat them", Long: b.String()}
}

func NewExitCodes() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `  0    success
  1    an error: no Redis, no worker, no such task, a file that cannot be
       written, a failed check of doctor, a base URL that does not lead to
       Coze's API, or Coze unreachable for longer than --patience
  2    wrong usage, a missing setting or a bad input file; nothing was asked
  3    finished, but some questions failed; or a run stopped at --max-tokens or
       --max-questions
  4    stopped after --patience: Coze rejects the token, the quota is used up,
       or the bot cannot be asked
  130  interrupted by a signal; run the same command again to resume

After 3, run the command again with --retry-failed or a higher limit. After 4,
fix the token, the quota or the bot and run the command again. Answered
questions are not asked again.`,
	}
}
