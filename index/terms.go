package index

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/sluicelog/sluice"
)

// Limits of an event's terms. What is beyond is not indexed.
const (
	MaxEventWords = 24
	MaxEventTerms = 128 // words included
)

// Terms reads the terms of events, one event after the other. The zero value is
// ready. It must not be used by several goroutines at once.
type Terms struct {
	termList
	begin int                      // the first term of the event
	table [2 * MaxEventTerms]uint8 // number of a term of the event + 1, by its hash

	words, others int    // how many there are of each
	text          []byte // a string without its escapes

	kind, entity, path []byte // entity_type, entity_id and entity_path as they stand
	repo               bool   // a repository is named
}

// termList is terms one behind the other.
type termList struct {
	keys   []byte   // each its field and its value
	ends   []int    // where each ends in keys
	hashes []uint64 // of each
}

// key returns term i: its field in one byte, then its value.
func (l *termList) key(i int) []byte {
	start := 0
	if i > 0 {
		start = l.ends[i-1]
	}
	return l.keys[start:l.ends[i]]
}

func (l *termList) clear() { l.keys, l.ends, l.hashes = l.keys[:0], l.ends[:0], l.hashes[:0] }

// hashKeys make the hashes of terms differ from process to process: nobody can
// choose terms that collide.
var hashKeys = [3]uint64{rand.Uint64(), rand.Uint64() | 1, rand.Uint64() | 1}

// termHash hashes a term: its field, its value eight bytes at a time, the length.
// The products of 128 bits are folded, as in wyhash.
func termHash(key []byte) uint64 {
	h := hashField(Field(key[0]))
	for i := 1; i < len(key); i += 8 {
		h = hashNext(h, eight(key, i))
	}
	return hashEnd(h, len(key))
}

func hashField(f Field) uint64 { return hashKeys[0] ^ uint64(f) }

func hashNext(h, v uint64) uint64 {
	high, low := bits.Mul64(h^v, hashKeys[1])
	return high ^ low
}

func hashEnd(h uint64, n int) uint64 {
	high, low := bits.Mul64(h^uint64(n), hashKeys[2])
	return high ^ low
}

// Read reads the terms of e; those of the event before are gone.
func (t *Terms) Read(e *Event) {
	t.clear()
	t.read(e)
}

// read reads the terms of e behind those that are there.
func (t *Terms) read(e *Event) {
	t.next()
	if e.Type != "" {
		t.add(FieldType, view(e.Type))
		if category, _, ok := strings.Cut(e.Type, "."); ok && category != "" {
			t.add(FieldCategory, view(category))
		}
	}
	if e.Source != "" {
		t.add(FieldSource, view(e.Source))
	}
	for i := range len(e.Namespace) {
		if e.Namespace[i] == '/' {
			t.add(FieldNamespace, view(e.Namespace[:i]))
		}
	}
	if e.Namespace != "" {
		t.add(FieldNamespace, view(e.Namespace))
	}
	w := walker{terms: t, src: e.Payload}
	w.object(0, false)
	t.readEntity(e)
}

// next begins with another event.
func (t *Terms) next() {
	t.begin = len(t.ends)
	clear(t.table[:])
	t.words, t.others = 0, 0
	t.kind, t.entity, t.path, t.repo = nil, nil, nil, false
}

// readEntity adds what follows from the members about the event's entity, or, in
// an event of the other vocabulary, from its namespace; see [sluice.Envelope].
func (t *Terms) readEntity(e *Event) {
	kind := t.kind
	switch {
	case len(kind) > 0:
	case string(t.path) == "gitlab_instance":
		kind = view(sluice.KindInstance)
	case len(t.path) > 0 || e.Namespace == "":
		return
	case t.repo:
		kind = view(sluice.KindProject)
	default:
		kind = view(sluice.KindGroup)
	}
	t.add(FieldKind, kind)
	if len(t.entity) > 0 {
		t.text = append(append(append(t.text[:0], kind...), '/'), t.entity...)
		t.add(FieldEntity, t.text)
	}
	if string(kind) == sluice.KindProject && len(t.path) > 0 {
		t.add(FieldRepo, view(e.Namespace))
	}
}

// All returns the terms, each once.
func (t *Terms) All() iter.Seq[Term] {
	return func(yield func(Term) bool) {
		for i := range t.ends {
			key := t.key(i)
			if !yield(Term{Field: Field(key[0]), Value: string(key[1:])}) {
				return
			}
		}
	}
}

// Has reports whether the event has a term.
func (t *Terms) Has(term Term) bool {
	for i := range t.ends {
		if key := t.key(i); Field(key[0]) == term.Field && string(key[1:]) == term.Value {
			return true
		}
	}
	return false
}

// add adds the term of a value, as [NewTerm] makes it. It folds eight bytes of
// ASCII at once.
func (t *Terms) add(field Field, value []byte) {
	if field == FieldToken || len(value) > MaxTermBytes {
		t.addSlow(field, value)
		return
	}
	start := len(t.keys)
	keys := append(slices.Grow(t.keys, 1+len(value)+8), byte(field))
	folded, hash := keys[start+1:start+1+len(value)+8], hashField(field)
	for i := 0; i < len(value); i += 8 {
		v := eight(value, i)
		if v&highBits != 0 {
			t.addSlow(field, value)
			return
		}
		v = lower(v)
		binary.LittleEndian.PutUint64(folded[i:], v)
		hash = hashNext(hash, v)
	}
	t.put(keys[:start+1+len(value)], hashEnd(hash, 1+len(value)))
}

// addSlow is add for any value.
func (t *Terms) addSlow(field Field, value []byte) {
	start := len(t.keys)
	keys := append(t.keys, byte(field))
	if field == FieldToken {
		keys = append(keys, value...)
	} else {
		keys = appendLower(keys, value)
	}
	if len(keys)-start-1 > MaxTermBytes {
		keys = append(keys[:start+1], NewTerm(field, string(value)).Value...)
	}
	t.put(keys, termHash(keys[start:]))
}

// appendLower appends value as [sluice.FoldNamespace] folds it.
func appendLower(dst, value []byte) []byte {
	for len(value) > 0 {
		r, n := utf8.DecodeRune(value)
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		value = value[n:]
	}
	return dst
}

// put adds the term at the end of keys, which holds the others before it, if it is
// new and there is room.
func (t *Terms) put(keys []byte, hash uint64) {
	start := len(t.keys)
	t.keys = keys[:start] // the memory may have grown
	count, limit := &t.others, MaxEventTerms-MaxEventWords
	if Field(keys[start]) == FieldWord {
		count, limit = &t.words, MaxEventWords
	}
	if *count == limit {
		return
	}
	i := hash % uint64(len(t.table))
	for t.table[i] != 0 {
		if t.hashes[t.begin+int(t.table[i]-1)] == hash {
			return // see slot
		}
		i = (i + 1) % uint64(len(t.table))
	}
	*count++
	t.keys, t.ends, t.hashes = keys, append(t.ends, len(keys)), append(t.hashes, hash)
	t.table[i] = uint8(len(t.ends) - t.begin)
}

// shortTerm is up to where words are read here; longer ones are read as any text.
const shortTerm = 64

// addWords adds the words of a text. It reads eight bytes at once: [NextWord] says
// the same of words in ASCII, and is asked about all others.
func (t *Terms) addWords(text []byte) {
	for i := 0; i < len(text) && t.words < MaxEventWords; {
		if wordByte[text[i]] == 0 {
			i++
			continue
		}
		start, at := i, len(t.keys)
		keys := append(slices.Grow(t.keys, 1+shortTerm+16), byte(FieldWord))
		word := keys[at+1 : at+1+shortTerm+16]
		n, hash := 0, hashField(FieldWord)
		for n <= shortTerm {
			folded, length := foldWord(eight(text, i))
			binary.LittleEndian.PutUint64(word[n:], folded)
			n += length
			i += length
			if length < 8 {
				if length > 0 {
					hash = hashNext(hash, folded&(1<<(8*length)-1))
				}
				break
			}
			hash = hashNext(hash, folded)
		}
		if n > shortTerm || i < len(text) && text[i] >= utf8.RuneSelf {
			i = t.addRun(text, start)
			continue
		}
		t.put(keys[:at+1+n], hashEnd(hash, 1+n))
	}
}

// eight returns the bytes from i on, the first one lowest, with zeros behind the
// end.
func eight(text []byte, i int) uint64 {
	n := len(text) - i
	switch {
	case n >= 8:
		return binary.LittleEndian.Uint64(text[i:])
	case len(text) >= 8:
		return binary.LittleEndian.Uint64(text[len(text)-8:]) >> (64 - 8*n)
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(text[i:])) | uint64(binary.LittleEndian.Uint32(text[len(text)-4:]))<<(8*n-32)
	}
	v := uint64(0)
	for ; n > 0; n-- {
		v = v<<8 | uint64(text[i+n-1])
	}
	return v
}

// foldWord folds eight bytes and returns how many of them, from the lowest on, are
// letters and digits of ASCII. The sums have the high bit of each byte that is at
// least the first and beyond the last one of a range.
func foldWord(v uint64) (folded uint64, length int) {
	beyond := v & highBits
	v &^= highBits
	digits := (v + (0x80-'0')*eachByte) &^ (v + (0x7f-'9')*eachByte)
	low := v | 0x20*eachByte
	letters := (low + (0x80-'a')*eachByte) &^ (low + (0x7f-'z')*eachByte) & highBits
	others := ^(digits | letters) & highBits
	return v | letters>>2, bits.TrailingZeros64(others|beyond) / 8
}

// addRun adds the words of the run that begins at i, of characters of words and of
// what is beyond ASCII, and returns where it ends.
func (t *Terms) addRun(text []byte, i int) int {
	start := i
	for i < len(text) && wordByte[text[i]] != 0 {
		i++
	}
	for rest := unsafe.String(&text[start], i-start); ; {
		var word string
		if word, rest = NextWord(rest); word == "" {
			return i
		}
		t.add(FieldWord, view(word))
	}
}

// wordByte holds 0 for bytes that end a word; those beyond ASCII may.
var wordByte = wordBytes()

func wordBytes() (table [256]byte) {
	for c := range table {
		if _, in := wordRune(string(rune(c))); in || c >= utf8.RuneSelf {
			table[c] = 1
		}
	}
	return table
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x80 * eachByte
)

// lower folds eight bytes of ASCII at once, as foldWord does.
func lower(v uint64) uint64 {
	upper := (v + (0x80-'A')*eachByte) &^ (v + (0x7f-'Z')*eachByte) & highBits
	return v | upper>>2
}

// view returns the bytes of s, which nobody may change.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
