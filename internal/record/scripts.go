package record

import (
	"embed"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redisscript"
)

// Each script says in its head what it takes, replies and promises.
var (
	createScript = script("create.lua")
	reopenScript = script("reopen.lua")
	deltaScript  = script("delta.lua")
	beginScript  = script("record.lua", "begin.lua")
	updateScript = script("record.lua", "update.lua")
	finishScript = script("record.lua", "finish.lua")
	cancelScript = script("record.lua", "cancel.lua")
	giveScript   = script("record.lua", "give.lua")
)

//go:embed *.lua
var sources embed.FS

func script(names ...string) *redis.Script { return redisscript.Script(sources, names...) }
