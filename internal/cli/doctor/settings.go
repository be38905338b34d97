package doctor

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

// settings shows each setting and where it comes from, and reads those that the other checks use.
func (d *doctor) settings(ctx context.Context) []finding {
	var found []finding
	var defaults []string
	for _, s := range settings.All() {
		value, source := d.value(s)
		switch {
		case source == "" && s.Def != "":
			defaults = append(defaults, s.Env+" "+s.Defaults())
		case source != "":
			found = append(found, d.setting(ctx, s, value, source))
		}
	}
	if len(defaults) > 0 {
		found = append(found, well("settings.defaults", "%s", strings.Join(defaults, "; ")))
	}
	if d.cfg.Text(settings.Bot, "") == "" {
		found = append(found, d.noBot())
	}
	found = append(found, d.address(ctx)...)
	found = append(found, d.encryption())
	found = append(found, d.apiKeys()...)
	found = append(found, d.aliases()...)
	found = append(found, d.unknownVariables()...)
	return append(found, d.credentials(ctx)...)
}

// value is what a setting is set to; source is empty where it is not.
func (d *doctor) value(s settings.Setting) (value, source string) {
	flag := s.FlagOf(d.cfg.Cmd)
	if flag == "" {
		if value, _ = d.cfg.Env(s.Env); value != "" {
			source = s.Env
		}
		return value, source
	}
	if value, source = d.cfg.Lookup(flag, ""); source == settings.FromDefault {
		source = ""
	}
	return value, source
}

func (d *doctor) setting(ctx context.Context, s settings.Setting, value, source string) finding {
	name := checkName("setting", s.Env)
	if settings.IsToken(value) && !s.Secret() { // errors quote what they are about
		return failed(name, "unset it, and take another token: this one may have been seen", "by %s: a token, which does not belong here", source)
	}
	if err := d.read(ctx, s); err != nil {
		return failed(name, "set "+source+" as 'cozeq help environment' says, or not at all", "%v", err)
	}
	shown := d.shown(s, value)
	if source != s.Env {
		shown += ", by " + source
	}
	if other := d.overruled(s); other != "" {
		return warned(name, "unset one of the two", "%s, but not used: %s goes before it", shown, other)
	}
	if strings.HasSuffix(s.Env, settings.FileSuffix) && s.Env != settings.EnvCredentials { // which names files, and holds no secret
		return secretFile(name, value, shown)
	}
	switch {
	case s.Flag == settings.Base && unencrypted(value):
		return warned(name, "use https://", "%s: token, questions and answers go over the network for all to read", shown)
	case s.Flag == settings.Bot && d.official() && notDigits(value):
		return warned(name, botFix, "%s: ids of Coze's bots are digits alone", shown)
	case s.FlagOf(d.cfg.Cmd) == settings.HTTP:
		if err := d.dashboardError(ctx); err != nil {
			return failed(name, "a worker does not start like this: choose one of the three", "%v", err)
		}
	}
	return well(name, "%s", shown)
}

const botFix = "take the digits that follow /bot/ in the address of the bot's page at Coze"

func notDigits(id string) bool {
	return strings.ContainsFunc(id, func(r rune) bool { return r < '0' || r > '9' })
}

// read reads a setting as the commands do and returns its error. What Redis it names is kept for the other checks.
func (d *doctor) read(ctx context.Context, s settings.Setting) (err error) {
	if s.Flag != settings.Redis {
		return s.Check(ctx, d.cfg)
	}
	d.remote, err = d.cfg.Redis(1, d.logger)
	if _, none := errors.AsType[*exitcode.MissingError](err); none {
		return nil // set to nothing, by a flag
	}
	return err
}

func (d *doctor) shown(s settings.Setting, value string) string {
	switch {
	case value == "":
		return "empty"
	case s.Secret():
		return "set"
	case s.Flag == settings.Redis:
		scheme, _, _ := strings.Cut(value, "://")
		return scheme + "://" + d.remote.Addr
	}
	return terminal.Short(value, 200)
}

func (d *doctor) overruled(s settings.Setting) string {
	set := func(env string) bool {
		value, _ := d.cfg.Env(env)
		return value != ""
	}
	var before []string
	switch s.Env {
	case settings.EnvTokenFile:
		before = []string{settings.EnvToken}
	case settings.EnvJWTClient, settings.EnvJWTKeyFile, settings.EnvJWTKeyID:
		before = []string{settings.EnvToken, settings.EnvTokenFile}
	case settings.EnvMonitorTokenFile:
		before = []string{settings.EnvMonitorToken}
	}
	for _, env := range before {
		if set(env) {
			return env
		}
	}
	return ""
}

// official reports whether Coze itself is asked, and not a proxy, a mock or a self-hosted server.
func (d *doctor) official() bool {
	base, err := d.cfg.Base()
	return err == nil && slices.Contains([]string{coze.DefaultBaseURL, coze.BaseURLCom}, strings.TrimRight(base, "/"))
}

func unencrypted(base string) bool {
	u, err := url.Parse(base)
	return err == nil && u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback()
}

// dashboardError is why a worker would not start with this address. A bad token is a
// finding of its own.
func (d *doctor) dashboardError(ctx context.Context) error {
	addr, err := d.cfg.HTTP(settings.DefaultHTTP)
	if err != nil {
		return nil
	}
	if _, err := d.cfg.MonitorToken(ctx); err != nil {
		return nil
	}
	_, err = d.cfg.Dashboard(ctx, addr)
	return err
}

// unknownVariables are variables that look like settings and are none. A command ignores a typo without a word.
func (d *doctor) unknownVariables() (found []finding) {
	known := &cobra.Command{}
	names := map[string]bool{}
	for _, s := range settings.All() {
		names[s.Env] = true
		known.AddCommand(&cobra.Command{Use: s.Env, Run: func(*cobra.Command, []string) {}})
	}
	var environ []string
	if d.environ != nil {
		environ = d.environ()
	}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if value == "" || names[name] || !strings.HasPrefix(name, "COZE_") && !strings.HasPrefix(name, "COZEQ_") {
			continue
		}
		fix := "see 'cozeq help environment' for those that there are"
		// cobra finds the commands that are near enough. Names may pass for some.
		for known.SuggestionsMinimumDistance = 1; known.SuggestionsMinimumDistance <= 4; known.SuggestionsMinimumDistance++ {
			if near := known.SuggestionsFor(name); len(near) > 0 {
				fix = "did you mean " + strings.Join(near, " or ") + "?"
				break
			}
		}
		found = append(found, warned(checkName("environment", name), fix, "no setting of cozeq"))
	}
	slices.SortFunc(found, func(a, b finding) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// encryption says whether questions and answers are encrypted in Redis, and with which key. Errors of the keys are findings
// of the setting.
func (d *doctor) encryption() finding {
	const name = "encryption"
	path, _ := d.cfg.Env(settings.EnvKeyFile)
	if path == "" {
		return well(name, "off: questions and answers stand in Redis as they are")
	}
	keys, err := settings.LoadKeys(path)
	if err != nil {
		return skipped(name, "not known: see %s", checkName("setting", settings.EnvKeyFile))
	}
	others := slices.DeleteFunc(keys.IDs(), func(id string) bool { return id == keys.ID() })
	if len(others) == 0 {
		return well(name, "on, with key %s", keys.ID())
	}
	return well(name, "on, with key %s; what was encrypted with %s is decrypted, too", keys.ID(), strings.Join(others, ", "))
}
