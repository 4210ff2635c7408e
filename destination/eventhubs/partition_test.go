package eventhubs

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluicelog/sluice/destination"
)

func TestPartitionKey(t *testing.T) {
	long := strings.Repeat("ab/", 50) + "x"
	for _, c := range []struct {
		by              PartitionBy
		namespace, want string
	}{
		{ByTopLevel, "acme", "acme"},
		{ByTopLevel, "Acme/Web", "acme"},
		{ByTopLevel, "", "/"},
		{ByNamespace, "Acme/Web", "acme/web"},
		{ByNamespace, "", "/"},
		{ByNamespace, strings.Repeat("a", 128), strings.Repeat("a", 128)},
		{ByNone, "acme", ""},
		{ByNone, "", ""},
	} {
		if got := partitionKey(c.by, c.namespace); got != c.want {
			t.Errorf("key of %q by %s: got %q, want %q", c.namespace, c.by, got, c.want)
		}
	}
	keys := map[string]bool{}
	for _, namespace := range []string{long, long + "y", strings.Repeat("ä", 127), strings.Repeat("ä", 128), "a" + strings.Repeat("ä", 127)} {
		key := partitionKey(ByNamespace, namespace)
		if len(key) > maxKey || !utf8.ValidString(key) || keys[key] {
			t.Errorf("key of %q: got %q, want one of its own of at most %d bytes", namespace, key, maxKey)
		}
		keys[key] = true
	}
}

func TestSplit(t *testing.T) {
	events := func(namespaces ...string) (out []destination.Event) {
		for _, n := range namespaces {
			out = append(out, destination.Event{Namespace: n})
		}
		return out
	}
	runs := split(ByTopLevel, events("a/x", "b", "A", "b/y"))
	if len(runs) != 1 || len(runs[0]) != 2 || !slices.Equal(runs[0][0].at, []int{0, 2}) || !slices.Equal(runs[0][1].at, []int{1, 3}) {
		t.Errorf("split: got %v, want one run of a: 0, 2 and b: 1, 3", runs)
	}
	same := make([]destination.Event, 3000)
	if runs := split(ByNone, same); len(runs) != 1 || len(runs[0]) != 1 || len(runs[0][0].at) != 3000 {
		t.Errorf("split of one key: got %d runs, want 1", len(runs))
	}
	same[2999].Namespace = "other"
	runs = split(ByTopLevel, same)
	seen := 0
	for _, parts := range runs {
		n := 0
		for _, p := range parts {
			n += len(p.at)
		}
		if n > maxAhead {
			t.Errorf("run: got %d events, want at most %d", n, maxAhead)
		}
		seen += n
	}
	if seen != 3000 {
		t.Errorf("split: got %d events, want 3000", seen)
	}
}
