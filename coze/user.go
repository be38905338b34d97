package coze

import (
	"context"
	"encoding/json"
	"net/http"
)

// User is the account of a token.
type User struct {
	ID   string `json:"user_id"`
	Name string `json:"name,omitempty"` // as others see it, else the login name
}

// UnmarshalJSON reads a user as Coze sends it.
func (u *User) UnmarshalJSON(raw []byte) error {
	var w struct {
		ID   ident `json:"user_id"`
		Name text  `json:"user_name"`
		Nick text  `json:"nick_name"`
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return err
	}
	*u = User{ID: string(w.ID), Name: string(w.Nick)}
	keepString(&u.Name, string(w.Name))
	return nil
}

// Me reads the token's user. Not every token may call it. Errors are [*Error].
func (c *Client) Me(ctx context.Context) (*User, error) {
	return fetch[User](ctx, c, call{op: "users/me", method: http.MethodGet, path: "/v1/users/me"})
}
