package settings

import (
	"strings"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/exitcode"
)

const Lang = "lang"

func (c Config) Hints() (func(string) string, error) {
	lang, err := c.Lang()
	if err != nil {
		return nil, err
	}
	codes, err := c.Codes()
	if err != nil {
		codes = coze.DefaultCodes() // the command that uses them reports the error
	}
	return func(hint string) string { return exitcode.HintIn(lang, codes, hint) }, nil
}

// Lang is the language of explanations: the one that is set, else the locale's.
func (c Config) Lang() (coze.Lang, error) {
	value, source := c.Lookup(Lang, "")
	if value == "" {
		return c.locale(), nil
	}
	switch lang := language(value); lang {
	case coze.English, coze.Chinese:
		return lang, nil
	}
	return "", c.Errorf(source, "%q, want %s or %s", value, coze.English, coze.Chinese)
}

// locale returns the first variable that is set, in POSIX's order. So LC_ALL=C beats a Chinese LANG.
func (c Config) locale() coze.Lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		value, _ := c.Env(name)
		if value == "" {
			continue
		}
		if language(value) == coze.Chinese {
			return coze.Chinese
		}
		break
	}
	return coze.English
}

// language is the first part of a locale or tag: zh of zh_CN.UTF-8 and zh-Hans.
func language(tag string) coze.Lang {
	if i := strings.IndexAny(tag, "_-.@"); i >= 0 {
		tag = tag[:i]
	}
	return coze.Lang(strings.ToLower(tag))
}
