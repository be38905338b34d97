package redisscript

import (
	"embed"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Script is the script that these files make together. A file that several scripts share comes first.
func Script(files embed.FS, names ...string) *redis.Script {
	return redis.NewScript(Source(files, names...))
}

func Source(files embed.FS, names ...string) string {
	var source strings.Builder
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // a name that is not embedded
		}
		source.Write(text)
	}
	return source.String()
}
