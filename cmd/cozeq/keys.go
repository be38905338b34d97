package main

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/cozeq/cozeq/results"
)

// keys are those that questions and answers are encrypted with in Redis; nil where none
// are set.
func (c config) keys() (*results.Keys, error) {
	path, _ := c.env(envKeyFile)
	if path == "" {
		return nil, nil
	}
	keys, err := loadKeys(path)
	if err != nil {
		return nil, c.bad(envKeyFile, "%w", err)
	}
	return keys, nil
}

// loadKeys reads keys from a file. Of a key in the place of its file's name nothing is
// repeated in the error.
func loadKeys(path string) (*results.Keys, error) {
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

// encryption tells whether questions and answers are encrypted in Redis, and with which
// key. What is wrong with the keys is said of the setting.
func (d *doctor) encryption() finding {
	const name = "encryption"
	path, _ := d.cfg.env(envKeyFile)
	if path == "" {
		return well(name, "off: questions and answers stand in Redis as they are")
	}
	keys, err := loadKeys(path)
	if err != nil {
		return skipped(name, "not known: see %s", checkName("setting", envKeyFile))
	}
	others := slices.DeleteFunc(keys.IDs(), func(id string) bool { return id == keys.ID() })
	if len(others) == 0 {
		return well(name, "on, with key %s", keys.ID())
	}
	return well(name, "on, with key %s; what was encrypted with %s is decrypted, too", keys.ID(), strings.Join(others, ", "))
}
