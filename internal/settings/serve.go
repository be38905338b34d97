package settings

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/webhook"
)

// Serve is where the API listens, and its files.
type Serve struct {
	Addr           string
	Metrics        string // where metrics need no key; "": nowhere
	KeysFile       string
	WebhookSecrets string
}

// Serve reads where the API listens, and its files for what is wrong with them.
func (c Config) Serve() (s Serve, err error) {
	addr, err := c.HTTP(DefaultServe)
	if err != nil {
		return s, err
	}
	_, source := c.Lookup(HTTP, "")
	if s.Addr, err = c.serveAddress(addr, source); err != nil {
		return s, err
	}
	if s.Metrics, err = c.Metrics(); err != nil {
		return s, err
	}
	s.KeysFile, _ = c.Env(EnvAPIKeys)
	s.WebhookSecrets, _ = c.Env(EnvWebhookSecrets)
	if _, err = c.APIKeys(); err != nil {
		return s, err
	}
	_, err = c.webhookSecrets(nil)
	return s, err
}

// serveAddress checks where the API listens. Without keys nobody but this machine may reach it: whoever does may ask all bots.
func (c Config) serveAddress(addr, source string) (string, error) {
	if addr == "" || addr == "off" {
		return "", c.Errorf(source, "off, but there is nothing else to serve")
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return "", c.Errorf(source, "%w", err)
	}
	if keys, _ := c.Env(EnvAPIKeys); keys == "" && !tcp.IP.IsLoopback() {
		return "", c.Errorf(source, "other machines can reach %s, and without API keys they could ask on your account: "+
			"set %s to a file of keys (docs/api-keys.md), or serve on 127.0.0.1", addr, EnvAPIKeys)
	}
	return tcp.String(), nil // a name may resolve to something else later
}

// Metrics returns the address where metrics need no key, "" for none.
func (c Config) Metrics() (string, error) { return c.address(Metrics, "") }

// APIKeys reads the file of API keys; nil where there is none.
func (c Config) APIKeys() ([]*apikey.Key, error) {
	path, _ := c.Env(EnvAPIKeys)
	if path == "" {
		return nil, nil
	}
	file, err := apikey.Load(path, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, c.Errorf(EnvAPIKeys, "%w", err)
	}
	return file.Keys(), nil
}

// webhookSecrets reads the file of secrets; nil where there is none.
func (c Config) webhookSecrets(log *slog.Logger) (*webhook.Secrets, error) {
	path, _ := c.Env(EnvWebhookSecrets)
	if path == "" {
		return nil, nil
	}
	secrets, err := webhook.LoadSecrets(path, log)
	if err != nil {
		return nil, c.Errorf(EnvWebhookSecrets, "%w", err)
	}
	return secrets, nil
}

// Webhooks posts to webhooks of tools. signs is false where there are no secrets.
func (c Config) Webhooks(log *slog.Logger) (client *webhook.Client, signs bool, err error) {
	secrets, err := c.webhookSecrets(log)
	if err != nil {
		return nil, false, err
	}
	allow, err := c.WebhookAllow()
	if err != nil {
		return nil, false, err
	}
	return webhook.NewClient(webhook.ClientConfig{Secrets: secrets, Allow: allow, Agent: c.Agent()}), secrets != nil, nil
}

// ServesOn is where the variable has the API listen.
func (c Config) ServesOn() (string, error) {
	addr, _ := c.Env(EnvServe)
	return c.serveAddress(addr, EnvServe)
}

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
			return nil, &misuse.Error{Command: c.Cmd.CommandPath(), Err: fmt.Errorf("%s: the name %s is repeated", source, name)}
		}
		models[name] = bot
	}
	return models, nil
}
