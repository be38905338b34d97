//go:build !unix

package site

func descriptorLimit() (uint64, bool) { return 0, false }
