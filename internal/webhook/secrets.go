package webhook

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Bounds of a file of secrets. Standard Webhooks wants secrets of 24 to 64 bytes.
const (
	secretPrefix   = "whsec_"
	minSecret      = 24
	maxSecret      = 64
	maxPerName     = 4 // each is a signature in the header of each delivery
	maxProblems    = 20
	defaultName    = "default"
	secretAdvice   = "make one with: echo whsec_$(openssl rand -base64 32)"
	wantSecretLine = "want NAME whsec_BASE64"
)

// namePattern is a name of a secret: that of an API key, or KEY/NAME for one of several of a key.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}(/[A-Za-z0-9._-]{1,64})?$`)

// secretSet are the secrets by name, in the order of the file. All secrets of a name sign.
type secretSet struct {
	names []string
	keys  map[string][][]byte
}

// parseSecrets reads lines of NAME whsec_BASE64. Empty lines and those that begin with # are passed over. The error has a
// line FILE:LINE: WHAT for each problem and never shows a secret.
func parseSecrets(file string, text []byte) (*secretSet, error) {
	set := &secretSet{keys: make(map[string][][]byte)}
	var problems []error
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := set.add(line); err != nil {
			if len(problems) == maxProblems {
				problems = append(problems, fmt.Errorf("%s: and more", file))
				break
			}
			problems = append(problems, fmt.Errorf("%s:%d: %w", file, n, err))
		}
	}
	if len(problems) == 0 && len(set.names) == 0 {
		problems = append(problems, fmt.Errorf("%s: no secret in it, want lines of NAME whsec_BASE64; %s", file, secretAdvice))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return set, nil
}

func (s *secretSet) add(line []byte) error {
	name, encoded, err := splitLine(string(line))
	if err != nil {
		return err
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case err != nil:
		return fmt.Errorf("the secret of %s is not base64 behind %s; %s", name, secretPrefix, secretAdvice)
	case len(key) < minSecret || len(key) > maxSecret:
		return fmt.Errorf("the secret of %s has %d bytes, want %d to %d; %s", name, len(key), minSecret, maxSecret, secretAdvice)
	case slices.ContainsFunc(s.keys[name], func(other []byte) bool { return bytes.Equal(key, other) }):
		return fmt.Errorf("%s has the same secret twice", name)
	case len(s.keys[name]) == maxPerName:
		return fmt.Errorf("%s has more than %d secrets: all of them sign, so take the oldest away", name, maxPerName)
	}
	if s.keys[name] == nil {
		s.names = append(s.names, name)
	}
	s.keys[name] = append(s.keys[name], key)
	return nil
}

// splitLine takes a line apart. Nothing of a line is repeated in an error before it is certain that it is no secret.
func splitLine(line string) (name, encoded string, err error) {
	fields := strings.Fields(line)
	if len(fields) != 2 {
		return "", "", fmt.Errorf("%d words, %s", len(fields), wantSecretLine)
	}
	name = fields[0]
	switch {
	case strings.HasPrefix(name, secretPrefix):
		return "", "", errors.New("the secret comes before its name, " + wantSecretLine)
	case !namePattern.MatchString(name):
		return "", "", errors.New("the name is not 1 to 64 letters, digits or any of . _ -, with one / at most")
	case strings.HasPrefix(fields[1], "whsk_"), strings.HasPrefix(fields[1], "whpk_"):
		return "", "", fmt.Errorf("%s has a key of ed25519, want a secret that begins with %s", name, secretPrefix)
	}
	encoded, ok := strings.CutPrefix(fields[1], secretPrefix)
	if !ok {
		return "", "", fmt.Errorf("the secret of %s does not begin with %s; %s", name, secretPrefix, secretAdvice)
	}
	return name, encoded, nil
}

// owns reports whether a tenant may sign with the secret of this name: one that has the tenant's name, or TENANT/ANYTHING.
// Without API keys there are no tenants, and every name will do. Otherwise a tenant could have its own text signed with a
// secret of another one, and sent to that one's receiver.
func owns(tenant, name string) bool {
	return tenant == "" || name == tenant || strings.HasPrefix(name, tenant+"/")
}

// choose returns the name of the secret to sign with: the one that was asked for or, with "", the tenant's own: the one of
// its name, of the name default where there are no tenants, or the only one that it has.
func (s *secretSet) choose(tenant, name string) (string, error) {
	if name != "" {
		if own := tenant + "/" + name; tenant != "" && s.keys[own] != nil {
			return own, nil
		}
		if s.keys[name] == nil || !owns(tenant, name) {
			return "", fmt.Errorf("there is no secret of this name for you, only %s", s.list(tenant))
		}
		return name, nil
	}
	own := tenant
	if own == "" {
		own = defaultName
	}
	if s.keys[own] != nil {
		return own, nil
	}
	if mine := s.of(tenant); len(mine) == 1 {
		return mine[0], nil
	}
	if tenant == "" {
		return "", fmt.Errorf("missing, and none of the secrets is named %s: name one of %s", defaultName, s.list(tenant))
	}
	return "", fmt.Errorf("missing, and there is none of the name %s: the operator can add a line %s whsec_... to COZEQ_WEBHOOK_SECRETS_FILE; there are %s",
		own, own, s.list(tenant))
}

func (s *secretSet) of(tenant string) []string {
	return slices.DeleteFunc(slices.Clone(s.names), func(name string) bool { return !owns(tenant, name) })
}

func (s *secretSet) list(tenant string) string {
	mine := s.of(tenant)
	if len(mine) == 0 {
		return "none"
	}
	if more := len(mine) - 10; more > 0 {
		return strings.Join(mine[:10], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(mine, ", ")
}

// String names the secrets and shows none.
func (s *secretSet) String() string { return "webhook secrets " + s.list("") }

func (s *secretSet) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }
