//go:build !torture

package indexkill

const rounds = 30
