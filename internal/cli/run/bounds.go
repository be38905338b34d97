package run

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/answercache"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/filerun"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

// sampleSize is how many questions --estimate asks: enough to tell the mean of costs
// that differ by half from each other to a quarter.
const sampleSize = 20

// runBounds are the flags that keep a run from asking everything.
type runBounds struct {
	maxTokens    int64
	maxQuestions int
	estimate     bool
	cache        string
	cacheTTL     time.Duration
}

func (b *runBounds) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Int64Var(&b.maxTokens, "max-tokens", 0, "stop asking once OUTPUT has cost `N` tokens, in all runs together")
	f.IntVar(&b.maxQuestions, "max-questions", 0, "ask at most `N` questions for OUTPUT, in all runs together")
	f.BoolVar(&b.estimate, "estimate", false, fmt.Sprintf("with -o: ask %d questions from all over INPUT and estimate the rest", sampleSize))
	f.StringVar(&b.cache, "cache", "", "take answers from `DIR` instead of asking again, and add new answers to it; alone, keep the learnt rate there, too")
	flags.Duration(f, &b.cacheTTL, "cache-ttl", 0, "with --cache: ignore answers older than this (default never expires)")
}

func (b *runBounds) check(cmd *cobra.Command, output string, retryFailed bool) error {
	given := cmd.Flags().Changed
	switch {
	case given("max-tokens") && b.maxTokens < 1:
		return misuse.Errorf(cmd, "--max-tokens %d, want at least 1", b.maxTokens)
	case given("max-questions") && b.maxQuestions < 1:
		return misuse.Errorf(cmd, "--max-questions %d, want at least 1", b.maxQuestions)
	case b.estimate && output == "":
		return misuse.Errorf(cmd, "--estimate needs -o: the answers to the sample are kept for the run that asks the rest")
	case b.estimate && retryFailed:
		return misuse.Errorf(cmd, "--estimate and --retry-failed: choose one")
	case given("cache") && b.cache == "":
		return misuse.Errorf(cmd, "--cache is empty, want the name of a directory")
	case given("cache-ttl") && b.cache == "":
		return misuse.Errorf(cmd, "--cache-ttl needs --cache")
	case b.cacheTTL < 0:
		return misuse.Errorf(cmd, "--cache-ttl %v, want 0 or more", b.cacheTTL)
	}
	return nil
}

// openCache opens the cache of --cache. The demo's answers are kept apart.
func (b *runBounds) openCache(cfg settings.Config, demo bool) (*answercache.Cache, error) {
	if b.cache == "" {
		return nil, nil
	}
	base, err := cfg.Base()
	if err != nil {
		return nil, err
	}
	origin := strings.ToLower(strings.TrimRight(base, "/"))
	if demo {
		origin = "demo"
	}
	return answercache.Open(b.cache, origin, b.cacheTTL)
}

// reached is the end of a run whose budget is used up.
func reached(e *filerun.BudgetError, s progress.Summary) error {
	left := terminal.Questions(s.Rows-s.Done()) + " left"
	flag := "--max-" + e.What
	f := &exitcode.SomeFailedError{Hint: "give the same command a higher " + flag + " to continue: answered questions are not asked again"}
	if s.Output == "" {
		f.Hint = "give the command a higher " + flag + "; without -o it starts from the beginning"
	}
	if e.What == filerun.BudgetTokens {
		f.Text = fmt.Sprintf("stopped at %s %s: %s were spent, %s", flag, terminal.Count(int(e.Limit)), terminal.Count(int(e.Used)), left)
	} else {
		f.Text = fmt.Sprintf("stopped at %s %s, %s", flag, terminal.Count(int(e.Limit)), left)
	}
	return f
}
