package cli

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/cli/errorcodes"
	"github.com/cozeq/cozeq/internal/cli/help"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/worker"
)

// completionTime bounds a look into Redis: a shell waits for it.
const completionTime = 2 * time.Second

// moreChoices are values that flags take besides those in their help.
var moreChoices = map[string][]string{
	"format":      {"jsonl.gz", "json.gz", "csv.gz", "tsv.gz", "txt.gz"},
	settings.Base: {coze.DefaultBaseURL, coze.BaseURLCom},
}

// completer finds the words that an argument or a flag can be.
type completer func(cmd *cobra.Command) []cobra.Completion

// completeValues has all commands complete the values of their flags and arguments.
func completeValues(root *cobra.Command, s *terminal.Streams) {
	on := func(words func(*terminal.Streams, *cobra.Command) []cobra.Completion) completer {
		return func(cmd *cobra.Command) []cobra.Completion { return words(s, cmd) }
	}
	live := map[string]completer{"queue": on(queueNames), "credential": on(credentialNames), "class": func(*cobra.Command) []cobra.Completion {
		return strings.Fields(errorcodes.ClassNames())
	}}
	for _, cmd := range append(help.Below(root), root) {
		for _, set := range []*pflag.FlagSet{cmd.LocalNonPersistentFlags(), cmd.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) {
				words := live[f.Name]
				if choices := slices.Concat(flags.Words(f), moreChoices[f.Name]); choices != nil {
					words = func(*cobra.Command) []cobra.Completion { return choices }
				}
				if words != nil {
					_ = cmd.RegisterFlagCompletionFunc(f.Name, func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
						return words(cmd), cobra.ShellCompDirectiveNoFileComp
					})
				}
			})
		}
		switch name := cmd.Name(); {
		case cmd.Parent() == nil:
		case cmd.Parent().Name() == "batch" && strings.Contains(cmd.Use, " ID"):
			firstArg(cmd, on(batchIDs))
		case cmd.Parent().Name() == "queues":
			firstArg(cmd, on(queueNames))
		case name == "ask", name == "result", name == "cancel":
			firstArg(cmd, func(*cobra.Command) []cobra.Completion { return nil }) // no file either
		}
	}
}

// firstArg completes the first argument; those after it may be files.
func firstArg(cmd *cobra.Command, words completer) {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return words(cmd), cobra.ShellCompDirectiveNoFileComp
	}
}

// batchIDs are those of the shared Redis; none where there is no Redis that answers.
func batchIDs(s *terminal.Streams, cmd *cobra.Command) (words []cobra.Completion) {
	quickly(s, cmd, func(ctx context.Context, s *session.Session) {
		all, err := s.Batches().List(ctx)
		if err != nil {
			return
		}
		for _, b := range all {
			words = append(words, cobra.CompletionWithDesc(b.ID, terminal.Questions(b.Rows)))
		}
	})
	return words
}

// queueNames are the usual ones, and those of the shared Redis.
func queueNames(s *terminal.Streams, cmd *cobra.Command) []cobra.Completion {
	names := worker.DefaultQueues()
	quickly(s, cmd, func(_ context.Context, s *session.Session) {
		used, _ := asynq.NewInspectorFromRedisClient(s.Redis).Queues()
		for _, name := range used {
			names[name] = 1
		}
	})
	return slices.Sorted(maps.Keys(names))
}

// quickly looks into the shared Redis, if there is one that answers soon.
func quickly(s *terminal.Streams, cmd *cobra.Command, look func(context.Context, *session.Session)) {
	if cfg := settings.Of(cmd, s); !cfg.Shared() {
		return
	}
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, completionTime)
	defer cancel()
	cmd.SetContext(ctx)
	opened, err := session.OpenFor(cmd, s)
	if err != nil {
		return
	}
	defer opened.Close()
	look(ctx, opened)
}

// credentialNames are those of COZEQ_CREDENTIALS_FILE. Their tokens are not asked for.
func credentialNames(s *terminal.Streams, cmd *cobra.Command) (words []cobra.Completion) {
	found, _ := settings.Of(cmd, s).Credentials(cmd.Context(), settings.Credential{Base: coze.DefaultBaseURL})
	for _, c := range found {
		words = append(words, c.Name)
	}
	return words
}
