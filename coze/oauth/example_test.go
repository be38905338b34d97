package oauth_test

import (
	"fmt"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/oauth"
)

// A client that signs in as a service app.
func Example() {
	key, err := oauth.LoadKey("coze.pem")
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := oauth.New(oauth.Config{ClientID: "1110000000000", PublicKeyID: "k1b2c3", Key: key})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &coze.Client{Auth: source}
	_ = client
	// Output: private key: open coze.pem: no such file or directory
}
