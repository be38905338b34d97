package misuse

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/usage"
)

// flagValues says what flags of pflag's own types take.
var flagValues = map[string]string{
	"bool":             "true or false",
	flags.DurationType: "a number and a unit: 30s, 15m, 1h30m or 7d",
	"float64":          "a number",
	"int":              "a whole number",
	"int64":            "a whole number",
	"intSlice":         "whole numbers, as 4013,5000",
	"uint64":           "a whole number, 0 or above",
}

// BadFlag words what pflag says of a flag as the rest of cozeq words it.
func BadFlag(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		// -format is a group of shorthands to pflag, and names the first that there is not.
		name, _, _ := strings.Cut(cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName()), "=")
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		if near := cmp.Or(usage.Nearest(name, names), beginsLike(name, names)); near != "" {
			return fmt.Errorf("%w, did you mean --%s?", err, near)
		}
		return err
	}
	invalid, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	flag := invalid.GetFlag()
	if want := flagValues[flag.Value.Type()]; want != "" {
		return fmt.Errorf("--%s: %q, want %s", flag.Name, invalid.GetValue(), want)
	}
	return err
}

// beginsLike is the only name that is the beginning of the given one or begins with it: --id for --idd, --timeout for
// --time. Nearest finds no slip in a name as short as id.
func beginsLike(given string, names []string) string {
	like := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return given == "" || !strings.HasPrefix(name, given) && !strings.HasPrefix(given, name)
	})
	if len(like) != 1 {
		return ""
	}
	return like[0]
}
