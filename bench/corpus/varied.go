package corpus

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
)

// Sizes of the varied corpus.
const (
	Organizations = 200
	actors        = 5_000
	types         = 300
	repositories  = 20_000
	wordCount     = 20_000
	phrases       = 4       // words a draw of 64 bits pays for
	draws         = 1 << 16 // prepared random choices a dimension
)

// A vocabulary holds the parts that events of the varied corpus are put
// together from, ready to be copied, and prepared draws of each.
type vocabulary struct {
	repositories, types, actors, words               []string
	repositoryDraws, typeDraws, actorDraws, wordDraw []uint16
	// What the fragments name, for those who ask.
	paths, typeNames, actorNames []string
	rare                         []string // fragments of the rare actors
}

func newVocabulary(r *rand.Rand) *vocabulary {
	v := &vocabulary{words: lexicon(r, wordCount)}
	orgs := zipf(r, Organizations, draws)
	for range repositories {
		org := orgs[r.IntN(draws)]
		path := fmt.Sprintf("%s/%s/%s-%s", Tenant(int(org)), v.words[r.IntN(60)], v.words[r.IntN(4000)], v.words[r.IntN(400)])
		v.paths = append(v.paths, path)
		v.repositories = append(v.repositories, fmt.Sprintf(`,"entity_path":%q,"entity_type":"Project","entity_id":%d`, path, 1+r.IntN(9_000_000)))
	}
	for i := range types {
		name, target := eventType(v.words, r, i)
		v.typeNames = append(v.typeNames, name)
		v.types = append(v.types, fmt.Sprintf(`,"event_type":%q,"target_type":%q`, name, target))
	}
	for range actors {
		name := v.words[r.IntN(2000)] + "." + v.words[r.IntN(9000)]
		v.actorNames = append(v.actorNames, name)
		v.actors = append(v.actors, actor(name, r, v.words[r.IntN(200)]))
	}
	v.repositoryDraws = zipf(r, repositories, draws)
	v.typeDraws = zipf(r, types, draws)
	v.actorDraws = zipf(r, actors, draws)
	v.wordDraw = zipf(r, wordCount, draws)
	for i := range RareActors {
		v.rare = append(v.rare, actor(RareActor(i), r, v.words[i]))
	}
	return v
}

// eventType returns a type and what it is about; the third most frequent is Git
// traffic, which Sluice keeps in a partition of its own.
func eventType(words []string, r *rand.Rand, rank int) (name, target string) {
	if rank == 2 {
		return "repository_git_operation", "Project"
	}
	verb := [...]string{"created", "updated", "destroyed", "approved", "changed"}[r.IntN(5)]
	noun := words[r.IntN(120)] + "_" + words[r.IntN(120)]
	return noun + "_" + verb, strings.ToUpper(noun[:1]) + noun[1:]
}

// actor returns the fragment for an actor.
func actor(name string, r *rand.Rand, host string) string {
	return fmt.Sprintf(`,"author_id":%d,"author_name":%q,"author_email":"%s@%s.example","ip_address":"10.%d.%d.%d"`,
		1+r.IntN(4_000_000), name, name, host, r.IntN(256), r.IntN(256), 1+r.IntN(254))
}

// append puts event number seq together, 750 to 1,350 bytes of it.
func (v *vocabulary) append(dst []byte, g *Generator, seq uint64) []byte {
	at, bits := len(dst), g.draw()
	dst = append(dst, head...)
	dst = append(dst, v.repositories[v.repositoryDraws[bits%draws]]...)
	dst = append(dst, v.types[v.typeDraws[bits>>16%draws]]...)
	who := v.actors[v.actorDraws[bits>>32%draws]]
	if i, ok := rare(&g.corpus.spec, seq); ok {
		who = v.rare[i]
	}
	dst = append(dst, who...)
	dst = append(dst, `,"created_at":"`...)
	if g.corpus.spec.Kind == Dated {
		dst = happened(&g.corpus.spec, seq).AppendFormat(dst, timeLayout)
	} else {
		dst = appendTime(append(dst, "2026-"...), g.draw())
	}
	dst = append(dst, `","correlation_id":"01`...)
	dst = appendHex(appendHex(dst, g.draw()), g.draw())
	size := 700 + int(bits>>48)%600
	dst = append(dst, `","target_id":`...)
	dst = appendNumber(dst, g.draw()%10_000_000)
	dst = append(dst, `,"details":{"custom_message":"`...)
	for len(dst)-at < size {
		bits = g.draw()
		for range phrases {
			dst = append(dst, v.words[v.wordDraw[bits%draws]]...)
			dst = append(dst, ' ')
			bits >>= 16
		}
	}
	dst = append(dst, `","updated_ref":"`...)
	dst = appendHex(appendHex(dst, g.draw()), g.draw())
	return append(dst, "\"}}\n"...)
}

// appendTime appends the rest of a time after the year.
func appendTime(dst []byte, bits uint64) []byte {
	pair := func(n uint64, end byte) { dst = append(dst, byte('0'+n/10), byte('0'+n%10), end) }
	pair(1+bits%12, '-')
	pair(1+bits>>8%28, 'T')
	pair(bits>>16%24, ':')
	pair(bits>>24%60, ':')
	pair(bits>>32%60, '.')
	millis := bits >> 40 % 1000
	return append(dst, byte('0'+millis/100), byte('0'+millis/10%10), byte('0'+millis%10), 'Z')
}

func appendHex(dst []byte, v uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[v>>shift&15])
	}
	return dst
}

// appendNumber appends 1 and seven digits of n: never a leading zero.
func appendNumber(dst []byte, n uint64) []byte {
	dst = append(dst, '1')
	for unit := uint64(1_000_000); unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+n/unit%10))
	}
	return dst
}

// zipf prepares size draws of 0 to n-1 where k comes with a weight of 1/(k+1).
func zipf(r *rand.Rand, n, size int) []uint16 {
	sums := make([]float64, n)
	var sum float64
	for k := range sums {
		sum += 1 / float64(k+1)
		sums[k] = sum
	}
	list := make([]uint16, size)
	for i := range list {
		list[i] = uint16(sort.SearchFloat64s(sums, r.Float64()*sum))
	}
	return list
}
