package eventhubs

import (
	"crypto/sha256"
	"encoding/hex"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

const (
	// maxKey bounds a partition key, in bytes.
	maxKey = 128
	// instanceKey is the partition key of events that belong to no namespace. No
	// namespace has this name.
	instanceKey = "/"
)

// partitionKey returns the key of an event, "" for none. Namespaces that are
// compared equal have equal keys.
func partitionKey(by PartitionBy, namespace string) string {
	switch {
	case by == ByNone:
		return ""
	case namespace == sluice.Instance:
		return instanceKey
	case by == ByTopLevel:
		namespace = sluice.TopLevel(namespace)
	}
	return shortened(sluice.FoldNamespace(namespace))
}

// shortened keeps short keys readable and puts a digest into long ones.
func shortened(key string) string {
	if len(key) <= maxKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	tail := "~" + hex.EncodeToString(sum[:16])
	n := maxKey - len(tail)
	for !utf8.RuneStart(key[n]) {
		n--
	}
	return key[:n] + tail
}

// part is what one partition key has of a batch: positions in it, ascending.
type part struct {
	key string
	at  []int
}

// maxAhead bounds how many events may be accepted while an earlier one of another
// key is not: delivery keeps those in memory until the earlier one is.
const maxAhead = 256

// split divides a batch into runs that are sent one after another, and each run
// into the parts that may be sent at once. A batch of one key is one run.
func split(by PartitionBy, events []destination.Event) [][]part {
	keys := make([]string, len(events))
	same := true
	for i := range events {
		if i > 0 && events[i].Namespace == events[i-1].Namespace {
			keys[i] = keys[i-1]
			continue
		}
		keys[i] = partitionKey(by, events[i].Namespace)
		same = same && keys[i] == keys[0]
	}
	size := maxAhead
	if same {
		size = len(events)
	}
	var runs [][]part
	for from := 0; from < len(events); from += size {
		runs = append(runs, partsOf(keys, from, min(from+size, len(events))))
	}
	return runs
}

func partsOf(keys []string, from, to int) []part {
	var list []part
	index := map[string]int{}
	for i := from; i < to; i++ {
		n, ok := index[keys[i]]
		if !ok {
			n = len(list)
			index[keys[i]] = n
			list = append(list, part{key: keys[i]})
		}
		list[n].at = append(list[n].at, i)
	}
	return list
}
