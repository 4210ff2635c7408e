//go:build !torture

package indexkill

const rounds = 26 // each way to live twice
