package settings

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/webhook"
)

// Serve is where the API listens, and the file of its keys.
type Serve struct {
	Addr     string
	KeysFile string
}

// Serve reads where the API listens. Without keys nobody but this machine may reach it: whoever does may ask all bots.
func (c Config) Serve() (s Serve, err error) {
	addr, err := c.HTTP(DefaultServe)
	if err != nil {
		return s, err
	}
	_, source := c.Lookup(HTTP, "")
	if addr == "" {
		return s, c.Errorf(source, "off, but there is nothing else to serve")
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return s, c.Errorf(source, "%w", err)
	}
	s.Addr = tcp.String() // a name may resolve to something else later
	if s.KeysFile, _ = c.Env(EnvAPIKeys); s.KeysFile == "" && !tcp.IP.IsLoopback() {
		return s, c.Errorf(source, "other machines can reach %s, and without API keys they could ask on your account: "+
			"set %s to a file of keys, or serve on 127.0.0.1", addr, EnvAPIKeys)
	}
	return s, nil
}

// WebhookAllow reads networks.
func (c Config) WebhookAllow() ([]netip.Prefix, error) {
	value, source := c.Lookup(WebhookAllow, "")
	if value == "" {
		return nil, nil
	}
	allowed, err := webhook.ParseAllow(strings.Split(value, ",")...)
	if err != nil {
		return nil, c.Errorf(source, "%w", err)
	}
	return allowed, nil
}

// Models reads NAME=BOT pairs: those of the flag, which may be repeated, or of the variable.
func (c Config) Models() (map[string]string, error) {
	value, source := c.Lookup(Models, "")
	models := make(map[string]string)
	for pair := range strings.SplitSeq(value, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, bot, ok := strings.Cut(pair, "=")
		if name, bot = strings.TrimSpace(name), strings.TrimSpace(bot); !ok || name == "" || bot == "" {
			return nil, c.Errorf(source, "%q, want NAME=BOT, as support=7342866812345", pair)
		}
		if _, twice := models[name]; twice {
			return nil, &misuse.Error{Command: c.Cmd.CommandPath(), Err: fmt.Errorf("%s: the name %s is there twice", source, name)}
		}
		models[name] = bot
	}
	return models, nil
}
