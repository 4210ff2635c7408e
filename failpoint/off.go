//go:build !failpoint

package failpoint

// Here does nothing: see the package. It may be called by many goroutines at once.
func Here(Point) {}

// Variables returns the environment variables that are read: none.
func Variables() []string { return nil }
