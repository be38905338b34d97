package redischeck

import (
	"fmt"
	"strconv"
	"strings"
)

// oldest is what the queue needs: asynq needs 4.0, but GETEX and SMISMEMBER came with 6.2.
var oldest = [2]int{6, 2}

func (s state) version() Finding {
	f := Finding{Name: "version", Status: OK}
	version, ok := s.value("redis_version", "")
	if !ok {
		return untold(f.Name, "the version is")
	}
	f.Detail = "Redis " + version
	for _, other := range []struct{ field, name string }{
		{"valkey_version", "Valkey"}, {"dragonfly_version", "Dragonfly"}, {"kvrocks_version", "Kvrocks"},
	} {
		if v, ok := s.info[other.field]; ok {
			f.Detail = fmt.Sprintf("%s %s, as Redis %s", other.name, strings.TrimPrefix(v, "v"), version)
		}
	}
	number, ok := versionNumber(version)
	switch {
	case !ok:
		f.Status = Skip
		f.Detail += ": not a version that can be compared"
	case number[0] < oldest[0] || number[0] == oldest[0] && number[1] < oldest[1]:
		f.Status = Fail
		f.Fix = fmt.Sprintf("use Redis %d.%d or newer, or Valkey", oldest[0], oldest[1])
	}
	return f
}

// versionNumber reads MAJOR.MINOR and whatever follows.
func versionNumber(version string) (n [2]int, ok bool) {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return n, false
	}
	for i := range n {
		v, err := strconv.Atoi(parts[i])
		if err != nil || v < 0 {
			return n, false
		}
		n[i] = v
	}
	return n, true
}
