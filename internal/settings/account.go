package settings

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/worker"
)

// Credential is an identity at Coze: its token and where to ask.
type Credential struct {
	Name  string // by which questions name it; empty: the default one
	Base  string
	Token coze.TokenSource
	Codes *coze.CodeTable
	most  int // bytes of an answer
	Life  TokenLife
	Agent string // the program's User-Agent
	File  string // with its token or key; empty: there is none, or a variable names it
}

// Account is the credential that asks, and others that questions may name.
type Account struct {
	Credential
	Others []Credential
}

// Account reads the settings of Coze. It makes no call. pick names a credential that replaces the default one; empty: none.
func (c Config) Account(ctx context.Context, pick string) (Account, error) {
	a := Account{Credential: Credential{Agent: c.Agent()}}
	var err error
	if a.Base, err = c.Base(); err != nil {
		return a, err
	}
	if a.Codes, err = c.Codes(); err != nil {
		return a, err
	}
	if a.most, err = c.MaxAnswer(); err != nil {
		return a, err
	}
	if a.Others, err = c.Credentials(ctx, a.Credential); err != nil {
		return a, err
	}
	if pick == "" {
		if a.Life, err = c.TokenLife(); err != nil {
			return a, err
		}
		a.Token, err = c.Token(ctx, a.Base)
		if _, none := errors.AsType[*exitcode.MissingError](err); !none || !slices.ContainsFunc(a.Others, Named(DefaultCredential)) {
			return a, err
		}
		pick = DefaultCredential
	}
	i, err := a.Find(c, pick)
	if err == nil {
		a.Credential = a.Others[i]
	}
	return a, err
}

// UploadAccount is the account that uploads files where the workers are other processes, which do not see them. Files belong to
// an account, so it has to be the workers'.
func (c Config) UploadAccount(ctx context.Context, pick string) (Account, error) {
	a, err := c.Account(ctx, pick)
	if missing, ok := errors.AsType[*exitcode.MissingError](err); ok {
		missing.Hint = "files are uploaded from here, with the workers' account"
	}
	return a, err
}

func (a Account) Find(c Config, name string) (int, error) {
	i := slices.IndexFunc(a.Others, Named(name))
	if i < 0 {
		return i, c.unknownCredential(name, a.Others)
	}
	return i, nil
}

func Named(name string) func(Credential) bool {
	return func(c Credential) bool { return c.Name == name }
}

// unknownCredential lists the credentials that exist, as the name is probably a typo.
func (c Config) unknownCredential(name string, known []Credential) error {
	if path, _ := c.Env(EnvCredentials); path == "" {
		return c.Errorf("--credential", "there is no credential %q: set %s to the file that has it", name, EnvCredentials)
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.Name
	}
	return c.Errorf("--credential", "there is no credential %q in %s, only %s", name, EnvCredentials, strings.Join(names, ", "))
}

// Client makes a client for so many calls at a time, and its closer.
func (a Account) Client(concurrency int) (*coze.Client, func()) {
	transport := coze.NewTransport(concurrency)
	return a.Over(coze.NoRedirects(&http.Client{Transport: transport})), transport.CloseIdleConnections
}

// Clients makes the client that asks, those of the other credentials, and a closer of all. They share one pool of
// connections.
func (a Account) Clients(concurrency int) (*coze.Client, []worker.Credential, func()) {
	client, closeIdle := a.Client(concurrency)
	others := make([]worker.Credential, len(a.Others))
	for i, c := range a.Others {
		others[i] = worker.Credential{Name: c.Name, Coze: c.Over(client.HTTP)}
	}
	return client, others, closeIdle
}

func (c Credential) Over(h *http.Client) *coze.Client {
	return &coze.Client{BaseURL: c.Base, Auth: c.Token, HTTP: h, Codes: c.Codes, MaxEvent: c.most, UserAgent: c.Agent}
}
