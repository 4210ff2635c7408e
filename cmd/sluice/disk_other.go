//go:build !linux

package main

// describeDisk names the file system that holds path, where the system tells it.
func describeDisk(string) (files, cache string) { return "unknown", "" }
