package main

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
)

// flagMonitorWrite is a flag without a variable: nobody should be able to change the
// queues from a page because of something in an environment.
const flagMonitorWrite = "monitor-write"

// addMonitor gives cmd the flags of the dashboard.
func addMonitor(cmd *cobra.Command) {
	cmd.Flags().Bool(flagMonitorWrite, false, "let the dashboard pause, run, cancel and delete")
	addSettings(cmd, settingPrometheus)
}

// dashboardPlan is a dashboard as the settings want it.
type dashboardPlan struct {
	addr       string // where to listen
	write      bool
	token      func(context.Context) (string, error) // nil: none is asked for
	prometheus *url.URL
}

// dashboard reads the settings of the dashboard on addr; nil: there is none. They are
// wrong where other machines could look at it and no token is set.
func (c config) dashboard(ctx context.Context, addr string) (*dashboardPlan, error) {
	write, err := c.cmd.Flags().GetBool(flagMonitorWrite)
	if err != nil {
		return nil, err
	}
	on, err := c.monitorOn()
	if err != nil {
		return nil, err
	}
	if addr == "" || !on {
		if write {
			return nil, c.bad("--"+flagMonitorWrite, "there is no dashboard: --%s or --%s is off", settingHTTP, settingMonitor)
		}
		return nil, nil
	}
	p := &dashboardPlan{addr: addr, write: write}
	if p.prometheus, err = c.prometheus(); err != nil {
		return nil, err
	}
	if p.token, err = c.monitorToken(ctx); err != nil || p.token != nil {
		return p, err
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, &hintedError{
			err:  fmt.Errorf("serve HTTP: %w", err),
			hint: "choose another address with --http or COZEQ_HTTP, or off",
		}
	}
	p.addr = tcp.String() // a name may stand for something else in a moment
	if !tcp.IP.IsLoopback() {
		_, source := c.lookup(settingHTTP, "")
		return nil, c.bad(source, "other machines can reach %s, and the dashboard shows every question and answer: "+
			"set %s to a file with a token to log in with, or serve on 127.0.0.1%s", addr, envMonitorTokenFile, c.orNoDashboard())
	}
	return p, nil
}

// monitorOn is whether there is a dashboard; the command of that name has no setting
// for it.
func (c config) monitorOn() (bool, error) {
	if c.cmd.Flags().Lookup(settingMonitor) == nil {
		return true, nil
	}
	switch value, source := c.lookup(settingMonitor, "on"); value {
	case "on":
		return true, nil
	case "off":
		return false, nil
	default:
		return false, c.bad(source, "%q, want on or off", value)
	}
}

// orNoDashboard is the way out that only a worker has.
func (c config) orNoDashboard() string {
	if c.cmd.Flags().Lookup(settingMonitor) == nil {
		return ""
	}
	return ", or do without the dashboard: --" + settingMonitor + " off"
}

// prometheus is nil where the setting is not given.
func (c config) prometheus() (*url.URL, error) {
	value, source := c.lookup(settingPrometheus, "")
	if value == "" {
		return nil, nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "":
		return nil, c.bad(source, "not a base URL, want one as http://prometheus:9090")
	case u.User != nil:
		return nil, c.bad(source, "a password may not stand in a flag or a variable that is no secret: use a Prometheus that asks for none")
	}
	return u, nil
}

// minMonitorToken is the shortest token that is taken, in characters. Nothing slows
// down who guesses, and a token is made by a program, not remembered.
const minMonitorToken = 16

// monitorToken is where the dashboard's token comes from, nil for nowhere. It sees
// that there is one.
func (c config) monitorToken(ctx context.Context) (func(context.Context) (string, error), error) {
	var source coze.TokenSource
	env := envMonitorToken
	if token, _ := c.env(env); token != "" {
		source = coze.StaticToken(token)
	} else {
		env = envMonitorTokenFile
		path, _ := c.env(env)
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
		return nil, c.bad(env, "%w", err)
	}
	return read, nil
}

// checkMonitorToken never repeats the token.
func checkMonitorToken(token string) error {
	switch {
	case isToken(token):
		return errors.New("it is a token of Coze: who looks at the dashboard need not be able to ask, make another one with openssl rand -hex 16")
	case len([]rune(token)) < minMonitorToken:
		return fmt.Errorf("a token of less than %d characters can be guessed: make one with openssl rand -hex 16", minMonitorToken)
	case strings.ContainsFunc(token, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return errors.New("a token is one word: make one with openssl rand -hex 16")
	}
	return nil
}
