// Package jsonobject reads the JSON objects of settings, strictly: in the order of the file, a name only once, and nothing
// behind the object. encoding/json takes the last of two equal names, and an operator would never know.
package jsonobject

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Members calls f for each member of a JSON object, in order. Its own errors name members, never what is in them.
func Members(object []byte, f func(name string, raw json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return errors.New("want a JSON object")
	}
	var seen []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		name, _ := key.(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		if slices.Contains(seen, name) {
			return fmt.Errorf("%q comes twice", name)
		}
		seen = append(seen, name)
		if err := f(name, raw); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON object")
	}
	return nil
}
