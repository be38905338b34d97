package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
)

// uploads are the uploaders of this process, one for each credential.
type uploads struct {
	session *session.Session
	account settings.Account

	mu   sync.Mutex
	made map[string]*attachment.Uploader // by the credential's name
}

// upload uploads content to Coze: see gateway.Config.
func (u *uploads) upload(ctx context.Context, credential, name string, content []byte) (string, error) {
	uploader, err := u.of(credential)
	if err != nil {
		return "", &attachment.FileError{Path: name, Err: err}
	}
	return uploader.UploadContent(ctx, name, content)
}

func (u *uploads) of(credential string) (*attachment.Uploader, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if made := u.made[credential]; made != nil {
		return made, nil
	}
	who := u.account.Credential
	if credential != "" {
		i := slices.IndexFunc(u.account.Others, settings.Named(credential))
		if i < 0 {
			return nil, fmt.Errorf("this server has no credential %q to upload it with: give a URL of it", credential)
		}
		who = u.account.Others[i]
	}
	if who.Token == nil {
		return nil, errors.New("this server has no token to upload it with: give a URL of it")
	}
	made := u.session.Uploader(settings.Account{Credential: who})
	if u.made == nil {
		u.made = make(map[string]*attachment.Uploader)
	}
	u.made[credential] = made
	return made, nil
}
