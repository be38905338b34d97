// Package oauth gets access tokens for a service app of Coze: an OAuth app of type JWT, which acts for the account that
// made it, without a person logging in. A personal token expires after 30 days at most; the app works as long as its key
// is valid.
//
//	key, err := oauth.LoadKey("coze.pem")
//	if err != nil {
//		return err
//	}
//	source, err := oauth.New(oauth.Config{ClientID: app, PublicKeyID: fingerprint, Key: key})
//	if err != nil {
//		return err
//	}
//	client := &coze.Client{Auth: source}
//
// A [Source] signs an assertion (a JWT, RS256) and exchanges it for a token, and again after 80 % of the token's life: once
// for all callers and in the background, while the old token is still used. It is a TokenSource for clients of package coze,
// the only package of this module that it imports. Logins of persons (code, PKCE, device) are not supported. Neither the key
// nor a token ever shows in an error, a log line or any form of printing.
//
// Anyone may import it.
package oauth
