// Package parameter reads a workflow's parameters as people write them: NAME=VALUE, with the type behind the name.
package parameter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// types are what may stand behind a name and a colon.
var types = []string{"text", "int", "float", "bool", "json", FileType, ImageType}

// The types of files. The caller uploads what their values name: see File.
const (
	FileType  = "file"
	ImageType = "image"
)

func IsFile(typ string) bool { return typ == FileType || typ == ImageType }

// File is the text that Coze takes for an uploaded file: JSON, although it stands in a string.
func File(id string) string {
	text, _ := json.Marshal(map[string]string{"file_id": id}) // strings always encode
	return string(text)
}

// Split takes the type off a name such as days:int. A name without one is text; another word behind a colon is part of the
// name.
func Split(name string) (plain, typ string) {
	if i := strings.LastIndexByte(name, ':'); i > 0 && slices.Contains(types, name[i+1:]) {
		return name[:i], name[i+1:]
	}
	return name, "text"
}

func Value(typ, text string) (json.RawMessage, error) {
	word := strings.TrimSpace(text)
	switch typ {
	case "int":
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("want a whole number, not %.40q", text)
		}
		return json.RawMessage(strconv.FormatInt(n, 10)), nil
	case "float":
		if n, err := strconv.ParseFloat(word, 64); err == nil {
			if value, err := json.Marshal(n); err == nil { // neither Inf nor NaN
				return value, nil
			}
		}
		return nil, fmt.Errorf("want a number, not %.40q", text)
	case "bool":
		switch strings.ToLower(word) {
		case "true", "yes", "1":
			return json.RawMessage("true"), nil
		case "false", "no", "0":
			return json.RawMessage("false"), nil
		}
		return nil, fmt.Errorf("want true or false, not %.40q", text)
	case "json":
		if !json.Valid([]byte(word)) {
			return nil, fmt.Errorf("want JSON, not %.40q", text)
		}
		return json.RawMessage(word), nil
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("want text in UTF-8")
	}
	return json.Marshal(text)
}

// Parse reads arguments: each NAME=VALUE, or a single JSON object.
func Parse(args []string) (map[string]json.RawMessage, error) {
	if len(args) == 1 && strings.HasPrefix(strings.TrimSpace(args[0]), "{") {
		return object(args[0])
	}
	all := make(map[string]json.RawMessage, len(args))
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		name, typ := Split(name)
		if !ok || name == "" {
			return nil, fmt.Errorf("%.40q, want NAME=VALUE, or all parameters as one JSON object", arg)
		}
		if _, twice := all[name]; twice {
			return nil, fmt.Errorf("%s is repeated", name)
		}
		value, err := Value(typ, text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = value
	}
	return all, nil
}

func object(text string) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	var all map[string]json.RawMessage
	if err := dec.Decode(&all); err != nil {
		return nil, fmt.Errorf("the parameters are no JSON object: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the parameters are more than one JSON object")
	}
	return all, nil
}
