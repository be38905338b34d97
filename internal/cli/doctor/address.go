package doctor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/httpserver"
	"github.com/cozeq/cozeq/internal/settings"
)

// noBot is the detail if no bot is set. Workers need none: the questions in their queues name one.
func (d *doctor) noBot() finding {
	name := checkName("setting", "COZE_BOT_ID")
	const none = "none is set, so each question has to name its bot"
	if d.cfg.Shared() {
		return well(name, none)
	}
	return warned(name, settings.MissingBot().How, none)
}

// address checks whether a worker could listen on its --http, or with a shared Redis on the default address if it is not set;
// and 'cozeq serve', if its address is set.
func (d *doctor) address(ctx context.Context) (found []finding) {
	def := ""
	if d.cfg.Shared() {
		def = settings.DefaultHTTP
	}
	if addr, err := d.cfg.HTTP(def); err == nil && addr != "" { // otherwise the setting says what is wrong
		_, source := d.cfg.Lookup(settings.HTTP, "")
		found = append(found, listens(ctx, "http.address", addr, "a worker", source == settings.FromDefault)...)
	}
	if _, err := d.cfg.ServesOn(); err == nil {
		addr, _ := d.cfg.Env(settings.EnvServe)
		found = append(found, listens(ctx, "serve.address", addr, "cozeq serve", false)...)
	}
	return found
}

// listens tries an address; nothing is found where it is free. A default address may not be wanted at all.
func listens(ctx context.Context, name, addr, who string, byDefault bool) []finding {
	const fix = "give another --http, or off"
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		l.Close()
		return nil
	case errors.Is(err, syscall.EADDRINUSE) && isCozeq(ctx, addr):
		return []finding{well(name, "a cozeq process serves %s; another one on this machine needs another --http", addr)}
	case errors.Is(err, syscall.EADDRINUSE) && byDefault:
		return []finding{warned(name, fix, "another program has %s: %s would not start", addr, who)}
	case errors.Is(err, syscall.EADDRINUSE):
		return []finding{failed(name, fix, "another program has %s: %s would not start", addr, who)}
	}
	return []finding{failed(name, fix, "%s would not start: %v", who, err)}
}

func isCozeq(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+httpserver.Reachable(tcp)+"/healthz", nil)
	if err != nil {
		return false
	}
	resp, err := coze.NoRedirects(&http.Client{}).Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64))
	return resp.StatusCode == http.StatusOK && string(body) == "ok\n"
}
