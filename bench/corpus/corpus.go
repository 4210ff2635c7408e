// Package corpus makes the events of the benchmark: audit events in GitLab's
// vocabulary, about 1,048 bytes each, the same for the same seed.
//
// Three corpora exist. The plain one repeats 1,000 prepared events and costs next
// to nothing to generate, for every measure of speed. The varied one draws
// organizations, actors, types, repositories and words anew for each event by
// Zipf's law, for the measure of disk space. The dated one is the varied one, but
// its events happened one after the other within [Days] days, and a few actors in
// it are rare, for searching. In all each event has an id of its own, which carries
// its number, so that the sink can tell what is lost, repeated or out of order.
package corpus

import (
	"fmt"
	"math/rand/v2"
)

// Kinds of corpus.
const (
	Plain  = "plain"
	Varied = "varied"
	Dated  = "dated"
)

// Ways to spread the events over top-level namespaces.
const (
	OneTenant     = ""     // all events belong to one
	FiveTenants   = "five" // the first five of many, in turn
	ZipfTenants   = "zipf" // all of many, by Zipf's law
	TenantsOfZipf = 10_000 // how many

	projectsOfTenant = 20
	tenantDraws      = 1 << 20 // prepared random choices of a tenant: enough for each to come
)

// Tenant returns the top-level namespace of tenant n (0 to TenantsOfZipf-1).
func Tenant(n int) string { return fmt.Sprintf("org-%04d", n) }

// Spec says which events to make.
type Spec struct {
	Kind    string // Plain, Varied or Dated
	Tenants string // OneTenant, FiveTenants or ZipfTenants; Plain only
	Seed    uint64
	Events  uint64 // how many there will be, over which the time is spread; Dated only
}

// A Corpus is what all generators of a run share. It does not change.
type Corpus struct {
	spec      Spec
	templates [][]byte // Plain: whole events, each with its line break
	tenants   []uint16 // prepared draws
	varied    *vocabulary
}

// New prepares a corpus.
func New(spec Spec) (*Corpus, error) {
	r := rand.New(rand.NewPCG(spec.Seed, 1))
	c := &Corpus{spec: spec}
	switch spec.Kind {
	case Plain:
		c.templates = templates(r)
	case Varied:
		c.varied = newVocabulary(r)
	case Dated:
		if spec.Events == 0 {
			return nil, fmt.Errorf("make corpus: a dated one needs the number of its events")
		}
		c.varied = newVocabulary(r)
	default:
		return nil, fmt.Errorf("make corpus: no corpus is called %q", spec.Kind)
	}
	switch spec.Tenants {
	case OneTenant, FiveTenants:
	case ZipfTenants:
		c.tenants = zipf(r, TenantsOfZipf, tenantDraws)
	default:
		return nil, fmt.Errorf("make corpus: no spread is called %q", spec.Tenants)
	}
	if spec.Tenants != OneTenant && spec.Kind != Plain {
		return nil, fmt.Errorf("make corpus: only the plain corpus is spread over tenants")
	}
	return c, nil
}

// A Generator makes the events of one connection. It must not be used by
// several goroutines at once.
type Generator struct {
	corpus     *Corpus
	connection int
	random     uint64
	next       int
}

// Generator returns a generator for connection number n.
func (c *Corpus) Generator(n int) *Generator {
	return &Generator{corpus: c, connection: n, random: mix(c.spec.Seed<<16 + uint64(n) + 1), next: n * 37}
}

// Append appends one event and a line break to dst.
func (g *Generator) Append(dst []byte, seq uint64, sent int64) []byte {
	at := len(dst)
	g.next++
	if g.corpus.varied != nil {
		dst = g.corpus.varied.append(dst, g, seq)
	} else {
		dst = g.plain(dst)
	}
	Stamp{Connection: g.connection, Seq: seq, Sent: sent}.put(dst[at:])
	return dst
}

// plain appends the next event of the plain corpus.
func (g *Generator) plain(dst []byte) []byte {
	list := g.corpus.templates
	at, k, tenant := len(dst), g.next%len(list), 0
	switch g.corpus.spec.Tenants {
	case FiveTenants:
		tenant = g.next % 5
	case ZipfTenants:
		// Each tenant has projects of its own, and few: 200,000 in all.
		tenant = int(g.corpus.tenants[g.draw()%tenantDraws])
		k = (tenant*37 + int(g.draw()%projectsOfTenant)) % len(list)
	}
	dst = append(dst, list[k]...)
	name := dst[at+tenantOffset : at+tenantOffset+tenantLength]
	for i := len(name) - 1; i >= len(name)-4; i-- {
		name[i] = byte('0' + tenant%10)
		tenant /= 10
	}
	return dst
}

// draw returns 64 random bits (xorshift64*).
func (g *Generator) draw() uint64 {
	g.random ^= g.random >> 12
	g.random ^= g.random << 25
	g.random ^= g.random >> 27
	return g.random * 0x2545f4914f6cdd1d
}
