package redischeck

// persistence: what Redis still has after a restart.
func (s state) persistence() Finding {
	f := Finding{Name: "persistence", Status: OK}
	switch file, known := s.appends(); {
	case !known:
		return untold(f.Name, "what it keeps over a restart is")
	case s.info["aof_last_write_status"] == "err":
		f.Status, f.Detail = Fail, "it cannot write its append-only file, and refuses all writes"
		f.Fix = "make room on its disk, and look into its log"
		return f
	case file:
		return s.appendFsync(f)
	}
	const fix = "redis-cli CONFIG SET appendonly yes" + lasting
	save, told := s.value("", "save")
	f.Status, f.Fix = Warn, fix
	switch {
	case told && save == "":
		f.Detail = "nothing is kept: a restart of Redis loses all questions and answers"
	case told:
		f.Detail = "snapshots alone (save " + save + "): a restart of Redis loses what came since the last one"
	default:
		f.Detail = "no append-only file: a restart of Redis loses what came since its last snapshot, or all"
	}
	return f
}

func (s state) appends() (on, known bool) {
	if v, ok := s.info["aof_enabled"]; ok {
		return v == "1", true
	}
	v, ok := s.config["appendonly"]
	return v == "yes", ok
}

func (s state) appendFsync(f Finding) Finding {
	f.Detail = "append-only file"
	switch fsync := s.config["appendfsync"]; fsync {
	case "always":
		f.Detail += ", synced at each write"
	case "everysec":
		f.Detail += ", synced each second"
	case "no":
		f.Status = Warn
		f.Detail += ", synced when the system likes to (appendfsync no): a loss of power loses up to half a minute"
		f.Fix = "redis-cli CONFIG SET appendfsync everysec" + lasting
	}
	return f
}
