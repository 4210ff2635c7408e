package graphql

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
)

// maxPage is the largest page of a connection, and the one that is shown when
// nothing is said.
const maxPage = 100

// paging are the arguments of a connection.
type paging struct {
	After, Before text
	First, Last   count
}

// connection is one page of a list, as Relay has it
// (https://relay.dev/graphql/connections.htm).
type connection[T any] struct {
	nodes      []T
	keys       []string
	more, less bool // behind and before the page
}

// descending is the key of a number in a list that begins with the highest.
func descending(n int64) string { return fmt.Sprintf("%019d", math.MaxInt64-n) }

// connect cuts a page out of a list. Each node has a key, by which the list is
// sorted here; a page goes on where another one ended although nodes came or went.
func connect[T any](list []T, key func(T) string, p paging) (*connection[T], error) {
	after, err := readCursor("after", p.After)
	if err != nil {
		return nil, err
	}
	before, err := readCursor("before", p.Before)
	if err != nil {
		return nil, err
	}
	for name, n := range map[string]count{"first": p.First, "last": p.Last} {
		if n.set && n.value < 0 {
			return nil, sluice.Errorf(sluice.Invalid, "%s must not be negative", name)
		}
	}
	slices.SortStableFunc(list, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	from, to := 0, len(list)
	for ; p.After.value != "" && from < to && key(list[from]) <= after; from++ {
	}
	for ; p.Before.value != "" && to > from && key(list[to-1]) >= before; to-- {
	}
	if p.First.set || !p.Last.set {
		to = min(to, from+pageSize(p.First))
	}
	if p.Last.set {
		from = max(from, to-pageSize(p.Last))
	}
	c := &connection[T]{nodes: list[from:to], more: to < len(list), less: from > 0}
	for _, n := range c.nodes {
		c.keys = append(c.keys, key(n))
	}
	return c, nil
}

func pageSize(c count) int {
	if !c.set {
		return maxPage
	}
	return min(c.value, maxPage)
}

// cursor is what clients get as an opaque text.
type cursor struct {
	Key string `json:"key"`
}

func writeCursor(key string) string {
	b, err := json.Marshal(cursor{key})
	if err != nil {
		return "" // a struct of one text is always encoded
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// readCursor returns the key in a cursor, "" for none. An empty one is none, as
// with GitLab's library: scripts begin their loops with it.
func readCursor(name string, t text) (string, error) {
	if t.value == "" {
		return "", nil
	}
	var c cursor
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(t.value, "="))
	if err != nil || json.Unmarshal(b, &c) != nil {
		return "", sluice.Errorf(sluice.Invalid, "%s is not a cursor of this list", name)
	}
	return c.Key, nil
}

// Nodes resolves the nodes of the page.
func (c *connection[T]) Nodes() *[]T { return &c.nodes }

// Edges resolves the nodes with their cursors.
func (c *connection[T]) Edges() *[]*edge[T] {
	out := make([]*edge[T], len(c.nodes))
	for i := range out {
		out[i] = &edge[T]{c.keys[i], c.nodes[i]}
	}
	return &out
}

// PageInfo resolves where the page lies.
func (c *connection[T]) PageInfo() *pageInfo {
	p := &pageInfo{more: c.more, less: c.less}
	if n := len(c.keys); n > 0 {
		start, end := writeCursor(c.keys[0]), writeCursor(c.keys[n-1])
		p.start, p.end = &start, &end
	}
	return p
}

type edge[T any] struct {
	key  string
	node T
}

// Cursor resolves the position of the node.
func (e *edge[T]) Cursor() string { return writeCursor(e.key) }

// Node resolves the node.
func (e *edge[T]) Node() T { return e.node }

type pageInfo struct {
	start, end *string
	more, less bool
}

// StartCursor resolves the first node's cursor.
func (p *pageInfo) StartCursor() *string { return p.start }

// EndCursor resolves the last node's cursor.
func (p *pageInfo) EndCursor() *string { return p.end }

// HasNextPage reports whether there is something behind the page.
func (p *pageInfo) HasNextPage() bool { return p.more }

// HasPreviousPage reports whether there is something before the page.
func (p *pageInfo) HasPreviousPage() bool { return p.less }
