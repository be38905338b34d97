package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
)

// flagValues says what flags of pflag's own types take.
var flagValues = map[string]string{
	"bool":     "true or false",
	"duration": "a number and a unit, as 30s, 5m or 1h30m",
	"float64":  "a number",
	"int":      "a whole number",
	"int64":    "a whole number",
	"intSlice": "whole numbers, as 4013,5000",
	"uint64":   "a whole number, 0 or above",
}

// badFlag words what pflag says of a flag's value as the rest of cozeq words it.
func badFlag(err error) error {
	invalid, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	flag := invalid.GetFlag()
	if want := flagValues[flag.Value.Type()]; want != "" {
		return fmt.Errorf("--%s: %q, want %s", flag.Name, invalid.GetValue(), want)
	}
	return err
}
