package oauth

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/cozeq/cozeq/internal/textfile"
)

// LoadKey reads an app's private key: RSA in PEM, PKCS #8 or PKCS #1. Its errors name the file and what is in it instead,
// never any part of the key.
func LoadKey(path string) (*rsa.PrivateKey, error) {
	text, err := textfile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	key, err := ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("private key %s: %w", path, err)
	}
	return key, nil
}

// ParseKey is LoadKey for the text of a file. Text around the PEM block is ignored.
func ParseKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM in it, want the file that Coze gave for the app, whole and with its first and last line")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return nil, errEncrypted
		}
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errEncrypted
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return nil, errors.New("it is the public key, want the private one")
	default:
		return nil, fmt.Errorf("it is PEM of a %.40q, want an RSA private key", block.Type)
	}
	if err != nil {
		return nil, errors.New("the key in it is damaged: copy the file again") // x509 may quote bytes of it
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it is a key of type %T, want an RSA private key", key)
	}
	return private, nil
}

var errEncrypted = errors.New("the key is protected by a password: take it off with openssl pkey -in FILE -out NEW")
