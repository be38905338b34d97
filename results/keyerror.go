package results

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// KeyError is a key in Redis that holds something else than it should. Redis is well, and
// the same command will fail again until somebody deletes the key.
type KeyError struct {
	Key string
	Err error
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("the key %s holds something else: %v", e.Key, e.Err)
}

func (e *KeyError) Unwrap() error { return e.Err }

// KeyFault makes a *KeyError of an error that Redis gave because of what this key holds, and
// returns any other as it is. Only the text of the error shows it: a script's error begins with others in
// Redis 6.2.
func KeyFault(key string, err error) error {
	if e, ok := errors.AsType[redis.Error](err); ok && strings.Contains(e.Error(), "WRONGTYPE ") {
		return &KeyError{Key: key, Err: err}
	}
	return err
}
