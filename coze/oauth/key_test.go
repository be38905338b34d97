package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cozeq/cozeq/coze/oauth"
)

// theKey is the app's: making one takes a while.
var theKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func pemOf(kind string, der []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(key any) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pemOf("PRIVATE KEY", der, err)
}

func TestParseKey(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&theKey().PublicKey)
	good := pkcs8(theKey())
	lines := strings.SplitAfter(good, "\n")
	locked := &pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("secret")}
	for name, tt := range map[string]struct{ text, want string }{
		"PKCS #8":           {good, ""},
		"PKCS #1":           {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(theKey()), nil), ""},
		"text around it":    {"key of the app\n\n" + good + "\nthe end\n", ""},
		"CRLF":              {strings.ReplaceAll(good, "\n", "\r\n"), ""},
		"nothing":           {"", "no PEM in it"},
		"no first line":     {strings.Join(lines[1:], ""), "no PEM in it"},
		"damaged":           {pemOf("PRIVATE KEY", []byte("nothing of ASN.1"), nil), "damaged"},
		"damaged, PKCS #1":  {pemOf("RSA PRIVATE KEY", []byte("nothing of ASN.1"), nil), "damaged"},
		"the public key":    {pemOf("PUBLIC KEY", public, err), "it is the public key"},
		"not RSA":           {pkcs8(other), "want an RSA private key"},
		"a certificate":     {pemOf("CERTIFICATE", []byte("x"), nil), `PEM of a "CERTIFICATE"`},
		"locked":            {pemOf("ENCRYPTED PRIVATE KEY", []byte("x"), nil), "password"},
		"locked in old PEM": {string(pem.EncodeToMemory(locked)), "password"},
	} {
		key, err := oauth.ParseKey([]byte(tt.text))
		switch {
		case tt.want == "" && (err != nil || !key.Equal(theKey())):
			t.Errorf("%s: %v", name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestLoadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.pem")
	if _, err := oauth.LoadKey(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := oauth.LoadKey(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no key: %v", err)
	}
	if err := os.WriteFile(path, []byte(pkcs8(theKey())), 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := oauth.LoadKey(path); err != nil || !key.Equal(theKey()) {
		t.Errorf("a key: %v", err)
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte(pkcs8(theKey())))
	f.Add([]byte(pemOf("RSA PRIVATE KEY", []byte("x"), nil)))
	f.Fuzz(func(t *testing.T, text []byte) {
		if key, err := oauth.ParseKey(text); (key == nil) == (err == nil) {
			t.Errorf("key %v and error %v", key != nil, err)
		}
	})
}
