package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/worker"
)

// credential is what it takes to ask Coze.
type credential struct {
	name  string // that questions ask for it by; empty: of the default one
	base  string
	token coze.TokenSource
	codes *coze.CodeTable
	most  int // bytes of an answer
	life  tokenLife
	agent string // the program's User-Agent
	file  string // that its token or key is in; empty: in none, or in one that a variable names
}

// account is the credential that asks, and others that questions may name.
type account struct {
	credential
	others []credential
}

// account reads the settings of Coze. No call is made. pick names the credential
// that stands in for the default one; empty: none does.
func (c config) account(ctx context.Context, pick string) (account, error) {
	a := account{credential: credential{agent: c.agent()}}
	var err error
	if a.base, err = c.base(); err != nil {
		return a, err
	}
	if a.codes, err = c.codes(); err != nil {
		return a, err
	}
	if a.most, err = c.maxAnswer(); err != nil {
		return a, err
	}
	if a.others, err = c.credentials(ctx, a.credential); err != nil {
		return a, err
	}
	if pick == "" {
		if a.life, err = c.tokenLife(); err != nil {
			return a, err
		}
		a.token, err = c.token(ctx, a.base)
		if _, none := errors.AsType[*missingError](err); !none || !slices.ContainsFunc(a.others, named(defaultCredential)) {
			return a, err
		}
		pick = defaultCredential
	}
	i, err := a.find(c, pick)
	if err == nil {
		a.credential = a.others[i]
	}
	return a, err
}

// find gives the place of a credential among the others.
func (a account) find(c config, name string) (int, error) {
	i := slices.IndexFunc(a.others, named(name))
	if i < 0 {
		return i, c.unknownCredential(name, a.others)
	}
	return i, nil
}

func named(name string) func(credential) bool {
	return func(c credential) bool { return c.name == name }
}

// unknownCredential says which there are: a slip of the pen is the likeliest cause.
func (c config) unknownCredential(name string, known []credential) error {
	if path, _ := c.env(envCredentials); path == "" {
		return c.bad("--credential", "there is no credential %q: set %s to the file that has it", name, envCredentials)
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.name
	}
	return c.bad("--credential", "there is no credential %q in %s, only %s", name, envCredentials, strings.Join(names, ", "))
}

// client makes a client for so many chats at a time, and its closer.
func (a account) client(concurrency int) (*coze.Client, func()) {
	transport := coze.NewTransport(concurrency)
	return a.over(coze.NoRedirects(&http.Client{Transport: transport})), transport.CloseIdleConnections
}

// clients makes the client that asks and those of the others, and the closer of
// them all. They share one pool of connections.
func (a account) clients(concurrency int) (*coze.Client, []worker.Credential, func()) {
	client, closeIdle := a.client(concurrency)
	others := make([]worker.Credential, len(a.others))
	for i, c := range a.others {
		others[i] = worker.Credential{Name: c.name, Coze: c.over(client.HTTP)}
	}
	return client, others, closeIdle
}

func (c credential) over(h *http.Client) *coze.Client {
	return &coze.Client{BaseURL: c.base, Auth: c.token, HTTP: h, Codes: c.codes, MaxEvent: c.most, UserAgent: c.agent}
}
