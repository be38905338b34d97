package oauth

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// An assertion is used at once, and once. Its life allows for different clocks: Coze accepts it if this machine's clock is
// up to assertionSkew ahead of Coze's, or up to assertionLife behind.
const (
	assertionSkew = time.Minute
	assertionLife = 10 * time.Minute
)

// assertion signs a JWT that names the app.
func (s *Source) assertion(now time.Time) (string, error) {
	claims := jwt.MapClaims{
		"iss": s.cfg.ClientID,
		"aud": s.cfg.Audience,
		"iat": now.Add(-assertionSkew).Unix(),
		"exp": now.Add(assertionLife).Unix(),
		"jti": rand.Text() + rand.Text(), // at least 32 characters, never used before
	}
	if s.cfg.SessionName != "" {
		claims["session_name"] = s.cfg.SessionName
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = s.cfg.PublicKeyID
	signed, err := token.SignedString(s.cfg.Key)
	if err != nil {
		return "", fmt.Errorf("the private key cannot sign: %w", err)
	}
	return signed, nil
}
