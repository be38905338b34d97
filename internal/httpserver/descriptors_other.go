//go:build !unix

package httpserver

func descriptorLimit() (uint64, bool) { return 0, false }
