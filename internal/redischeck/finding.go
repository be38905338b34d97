package redischeck

import (
	"slices"
	"strings"
)

// Status is the severity of a finding.
type Status string

// The statuses, from well to worse.
const (
	OK   Status = "ok"
	Skip Status = "skip" // could not be checked; Detail says why
	Warn Status = "warn" // works, but loses data or time some day
	Fail Status = "fail" // does not work, or loses data
)

var gravity = []Status{OK, Skip, Warn, Fail}

// Worse reports whether s is more severe than t.
func (s Status) Worse(t Status) bool { return slices.Index(gravity, s) > slices.Index(gravity, t) }

// Finding is the result of one check.
type Finding struct {
	// Name is one of role, version, eviction, memory, persistence, writes.
	Name   string
	Status Status
	// Detail is what is there, in one line.
	Detail string
	// Fix is what to do, in one line; empty where there is nothing to do.
	Fix string
}

// OfConcern returns the findings that need action, the most severe first.
func OfConcern(all []Finding) []Finding {
	of := slices.DeleteFunc(slices.Clone(all), func(f Finding) bool { return !f.Status.Worse(Skip) })
	slices.SortStableFunc(of, func(a, b Finding) int {
		return slices.Index(gravity, b.Status) - slices.Index(gravity, a.Status)
	})
	return of
}

// node is what was found at one server.
type node struct {
	addr     string
	findings []Finding
}

// merged makes one list of the findings of several servers. If all agree, the finding is listed once. If not, only the worst
// is listed, with the addresses of the servers that it concerns.
func merged(nodes []node) []Finding {
	if len(nodes) == 1 {
		return nodes[0].findings
	}
	var all []Finding
	for i := range nodes[0].findings {
		worst := OK
		for _, n := range nodes {
			if s := n.findings[i].Status; s.Worse(worst) {
				worst = s
			}
		}
		all = append(all, together(nodes, i, worst)...)
	}
	return all
}

// together are the i-th findings of that status: one for each detail, and a single one if they are well.
func together(nodes []node, i int, status Status) []Finding {
	var all []Finding
	var whose [][]string
	for _, n := range nodes {
		f := n.findings[i]
		if f.Status != status {
			continue
		}
		at := slices.IndexFunc(all, func(g Finding) bool { return g.Detail == f.Detail })
		if at < 0 {
			at = len(all)
			all, whose = append(all, f), append(whose, nil)
		}
		whose[at] = append(whose[at], n.addr)
	}
	if len(all) == 1 && len(whose[0]) == len(nodes) {
		return all
	}
	details := make([]string, len(all))
	for j := range all {
		all[j].Detail = strings.Join(whose[j], ", ") + ": " + all[j].Detail
		details[j] = all[j].Detail
	}
	if status == OK {
		all = all[:1]
		all[0].Detail = strings.Join(details, "; ")
	}
	return all
}
