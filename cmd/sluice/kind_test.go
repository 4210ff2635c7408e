package main

import (
	"slices"
	"testing"

	"github.com/sluicelog/sluice/destination"
)

// TestKindsAreDescribed holds that nobody has to guess what a kind needs.
func TestKindsAreDescribed(t *testing.T) {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.Name())
		if _, ok := k.(destination.Described); !ok {
			t.Errorf("kind %s: got no description, want one", k.Name())
		}
	}
	if got := kindNames(); !slices.Equal(got, names) {
		t.Errorf("completion: got %q, want %q", got, names)
	}
}
