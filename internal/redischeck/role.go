package redischeck

import "fmt"

// role: only a master takes writes, and a node of a cluster takes only those of its own slots.
func (s state) role() Finding {
	f := Finding{Name: "role", Status: OK, Detail: "master"}
	role, ok := s.value("role", "")
	switch {
	case !ok:
		return untold(f.Name, "whether it is a master is")
	case role != "master":
		f.Status, f.Detail = Fail, "it is a replica of "+s.info["master_host"]+":"+s.info["master_port"]+" and takes no writes"
		f.Fix = "let REDIS_URL name the master, or the sentinels, which know it: redis-sentinel://HOST1,HOST2/0?master=NAME"
		return f
	case s.info["cluster_enabled"] == "1" && !s.inCluster:
		f.Status, f.Detail = Fail, "it is one node of a cluster, which has only its share of the keys"
		f.Fix = "let REDIS_URL begin with redis-cluster://"
		return f
	}
	if n, ok := s.number("connected_slaves", ""); ok {
		f.Detail += fmt.Sprintf(", replicas: %d", n)
	}
	return f
}
