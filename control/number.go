package control

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
)

// numbers are what custom headers and the namespaces of a filter are known by
// where each has an id of its own. A part keeps its number while it stays, also
// when another name takes its place; no number is given twice in a stream.
type numbers struct {
	Headers    []int64 `json:"headers,omitempty"`    // parallel to those of the configuration
	Namespaces []int64 `json:"namespaces,omitempty"` // parallel to those of the filter
	Last       int64   `json:"last,omitempty"`
}

// number gives the parts of r numbers, those of old to the parts that stay.
func (r *streamRecord) number(old *streamRecord) {
	next := numbers{Last: old.Numbers.Last}
	next.Headers = next.renumber(old.headerNames(), old.Numbers.Headers, r.headerNames())
	next.Namespaces = next.renumber(old.filterNames(), old.Numbers.Namespaces, r.filterNames())
	r.Numbers = next
}

// renumber returns a number for each part. Those that had none, in a record of an
// earlier version, get theirs as new ones do.
func (n *numbers) renumber(before []string, had []int64, now []string) []int64 {
	out := make([]int64, len(now))
	stays := make([]bool, len(before)) // its number is in out
	for i, name := range now {
		for j := range had {
			if j < len(before) && before[j] == name && !stays[j] {
				out[i], stays[j] = had[j], true
				break
			}
		}
	}
	for i := range now {
		switch {
		case out[i] != 0:
		case i < len(had) && i < len(before) && !stays[i]:
			out[i], stays[i] = had[i], true // another name in the same place
		default:
			n.Last++
			out[i] = n.Last
		}
	}
	return out
}

// headerNames returns the names of the custom headers, which are compared without
// case.
func (r *streamRecord) headerNames() []string {
	var config struct {
		Headers []struct {
			Name string `json:"name"`
		} `json:"headers"`
	}
	_ = json.Unmarshal(r.Config, &config) // canonical; a deleted stream has none
	out := make([]string, len(config.Headers))
	for i, h := range config.Headers {
		out[i] = strings.ToLower(h.Name)
	}
	return out
}

func (r *streamRecord) filterNames() []string {
	out := slices.Clone(r.Filter.Namespaces)
	for i := range out {
		out[i] = sluice.FoldNamespace(out[i])
	}
	return out
}
