package settings

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/exitcode"
)

// FlagMonitorWrite has no variable, so that a leftover in an environment cannot let a page change the queues.
const FlagMonitorWrite = "monitor-write"

func AddDashboardFlags(cmd *cobra.Command) {
	cmd.Flags().Bool(FlagMonitorWrite, false, "let the dashboard pause, run, cancel and delete")
	AddFlags(cmd, Prometheus)
}

// Dashboard has the settings of a dashboard.
type Dashboard struct {
	Addr       string // where to listen
	Write      bool
	Token      func(context.Context) (string, error) // nil: no token is needed
	Prometheus *url.URL
}

// Dashboard reads the settings of the dashboard on addr; nil: there is none. It is an error if other machines can reach the
// address and no token is set.
func (c Config) Dashboard(ctx context.Context, addr string) (*Dashboard, error) {
	write, err := c.Cmd.Flags().GetBool(FlagMonitorWrite)
	if err != nil {
		return nil, err
	}
	on, err := c.MonitorOn()
	if err != nil {
		return nil, err
	}
	if addr == "" || !on {
		if write {
			return nil, c.Errorf("--"+FlagMonitorWrite, "there is no dashboard: --%s or --%s is off", HTTP, Monitor)
		}
		return nil, nil
	}
	p := &Dashboard{Addr: addr, Write: write}
	if p.Prometheus, err = c.Prometheus(); err != nil {
		return nil, err
	}
	if p.Token, err = c.MonitorToken(ctx); err != nil || p.Token != nil {
		return p, err
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, &exitcode.HintedError{
			Err:  fmt.Errorf("serve HTTP: %w", err),
			Hint: "choose another address with --http or COZEQ_HTTP, or off",
		}
	}
	p.Addr = tcp.String() // a name may resolve to something else later
	if !tcp.IP.IsLoopback() {
		_, source := c.Lookup(HTTP, "")
		return nil, c.Errorf(source, "other machines can reach %s, and the dashboard shows every question and answer: "+
			"set %s to a file with a token to log in with, or serve on 127.0.0.1%s", addr, EnvMonitorTokenFile, c.orNoDashboard())
	}
	return p, nil
}

// MonitorOn reports whether there is a dashboard. The command dashboard has no setting for it.
func (c Config) MonitorOn() (bool, error) {
	if c.Cmd.Flags().Lookup(Monitor) == nil {
		return true, nil
	}
	switch value, source := c.Lookup(Monitor, "on"); value {
	case "on":
		return true, nil
	case "off":
		return false, nil
	default:
		return false, c.Errorf(source, "%q, want on or off", value)
	}
}

// orNoDashboard is another way to fix it, which only a worker has.
func (c Config) orNoDashboard() string {
	if c.Cmd.Flags().Lookup(Monitor) == nil {
		return ""
	}
	return ", or do without the dashboard: --" + Monitor + " off"
}

// Prometheus is nil where the setting is not given.
func (c Config) Prometheus() (*url.URL, error) {
	value, source := c.Lookup(Prometheus, "")
	if value == "" {
		return nil, nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "":
		return nil, c.Errorf(source, "not a base URL, want one such as http://prometheus:9090")
	case u.User != nil:
		return nil, c.Errorf(source, "a password may not stand in a flag or a variable that is no secret: use a Prometheus that asks for none")
	}
	return u, nil
}

// minMonitorToken is the shortest token, in characters. Nothing slows an attacker who guesses, and tokens are generated, not
// remembered.
const minMonitorToken = 16

// MonitorToken is the source of the dashboard's token; nil: none is set. It reads the token once, so that an error is found
// now.
func (c Config) MonitorToken(ctx context.Context) (func(context.Context) (string, error), error) {
	var source coze.TokenSource
	env := EnvMonitorToken
	if token, _ := c.Env(env); token != "" {
		source = coze.StaticToken(token)
	} else {
		env = EnvMonitorTokenFile
		path, _ := c.Env(env)
		if path == "" {
			return nil, nil
		}
		source = coze.NewTokenFile(path) // read again when it changes
	}
	read := func(ctx context.Context) (string, error) {
		token, err := source.Token(ctx)
		if err != nil {
			return "", err
		}
		return token, checkMonitorToken(token)
	}
	if _, err := read(ctx); err != nil {
		return nil, c.Errorf(env, "%w", err)
	}
	return read, nil
}

// checkMonitorToken never repeats the token.
func checkMonitorToken(token string) error {
	switch {
	case IsToken(token):
		return errors.New("it is a token of Coze: who looks at the dashboard need not be able to ask, make another one with openssl rand -hex 16")
	case len([]rune(token)) < minMonitorToken:
		return fmt.Errorf("a token of less than %d characters can be guessed: make one with openssl rand -hex 16", minMonitorToken)
	case strings.ContainsFunc(token, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return errors.New("a token is one word: make one with openssl rand -hex 16")
	}
	return nil
}
