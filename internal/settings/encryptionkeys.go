package settings

import (
	"errors"
	"os"

	"github.com/cozeq/cozeq/results"
)

// Keys encrypt questions and answers in Redis; nil: none are set.
func (c Config) Keys() (*results.Keys, error) {
	path, _ := c.Env(EnvKeyFile)
	if path == "" {
		return nil, nil
	}
	keys, err := LoadKeys(path)
	if err != nil {
		return nil, c.Errorf(EnvKeyFile, "%w", err)
	}
	return keys, nil
}

// LoadKeys reads keys from a file. If the setting holds a key instead of a file's name, the error does not repeat it.
func LoadKeys(path string) (*results.Keys, error) {
	keys, err := results.LoadKeys(path)
	if err == nil {
		return keys, nil
	}
	_, whole := results.ParseKeys([]byte(path))
	_, half := results.ParseKeys([]byte("id:" + path))
	if whole == nil || half == nil {
		return nil, errors.New("it is a key, want the name of a file that holds it")
	}
	if file, ok := errors.AsType[*os.PathError](err); ok {
		return nil, errors.New("cannot read " + path + ": " + file.Err.Error())
	}
	return nil, err
}
