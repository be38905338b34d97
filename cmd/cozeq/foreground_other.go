//go:build !darwin && !freebsd && !linux

package main

func inBackground() bool { return false }
