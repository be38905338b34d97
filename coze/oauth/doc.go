// Package oauth gets access tokens for a service app of Coze: an OAuth app of type JWT, which acts for the account that
// made it and needs no person to log in. Unlike a personal token, which dies after 30 days at most, it goes on for as
// long as the app's key does.
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
// A [Source] signs an assertion (a JWT, RS256), hands it in for a token, and does so again when 80 % of the token's life
// is over, once for all callers and beside them: the old token is given for as long as it is good. It serves clients of
// package coze as their TokenSource, and of this module it imports that package alone. The logins of persons (code, PKCE,
// device) are not here. Neither the key nor a token is ever in an error, a log line or any form of printing.
//
// Anyone may import it.
package oauth
