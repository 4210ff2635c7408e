//go:build torture

package indexkill

const rounds = 3000
