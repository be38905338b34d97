package settings_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/settings"
)

// TestManual wants docs/settings.md, in each language, to have a row for each setting, in the order of the help, with
// its flag.
func TestManual(t *testing.T) {
	t.Parallel()
	var want []string
	for _, s := range settings.All() {
		flag := ""
		if s.Flag != "" {
			flag = "`--" + s.Flag + "` "
		}
		want = append(want, fmt.Sprintf("| `%s` | %s|", s.Env, flag))
	}
	want = append(want, "| `NO_COLOR` | |")
	row := regexp.MustCompile("(?m)^\\| `[A-Z_]+` \\| (?:`--[a-z-]+` )?\\|")
	for _, page := range []string{"../../docs/settings.md", "../../docs/settings.zh-CN.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if got := row.FindAllString(string(text), -1); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s has\n%s\nwant\n%s", page, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
