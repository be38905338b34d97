// Package flags adds two kinds of values to pflag: durations that know days, and words out of a short list. It reads
// and shows them; whether a value makes sense is for the command to say.
package flags

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

const (
	wordsKey = "cozeq one of"
	envKey   = "cozeq environment"
)

// OneOf notes the words that a flag takes, for its help and for completion.
func OneOf(f *pflag.FlagSet, name string, words ...string) {
	if err := f.SetAnnotation(name, wordsKey, words); err != nil {
		panic(err) // there is no such flag
	}
}

// Words are those of OneOf; none for any other flag.
func Words(f *pflag.Flag) []string { return f.Annotations[wordsKey] }

// SetEnv names the environment variable that a flag beats.
func SetEnv(f *pflag.Flag, name string) {
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[envKey] = []string{name}
}

// Env is the variable of SetEnv; "" for any other flag.
func Env(f *pflag.Flag) string {
	if names := f.Annotations[envKey]; len(names) > 0 {
		return names[0]
	}
	return ""
}

// Placeholder stands for a flag's value in its help, and usage is the text beside it. A flag without a value has no
// placeholder.
func Placeholder(f *pflag.Flag) (placeholder, usage string) {
	placeholder, usage = pflag.UnquoteUsage(f)
	if words := Words(f); len(words) > 0 {
		placeholder = "{" + strings.Join(words, "|") + "}"
	}
	return placeholder, usage
}

// Default is the flag's default as its help shows it; "" for an empty one.
func Default(f *pflag.Flag) string {
	if slices.Contains([]string{"", "0", "0s", "false", "[]"}, f.DefValue) {
		return ""
	}
	return f.DefValue
}
