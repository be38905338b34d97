//go:build !unix

package site

// descriptorLimit is not known here.
func descriptorLimit() (uint64, bool) { return 0, false }
