package index

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"iter"
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
	hashes []uint32 // of each
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

// hashSeed makes the hashes of terms differ from process to process: nobody can
// choose terms that collide.
var hashSeed = maphash.MakeSeed()

func termHash(key []byte) uint32 { return uint32(maphash.Bytes(hashSeed, key)) }

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

// add adds the term of a value, as [NewTerm] makes it.
func (t *Terms) add(field Field, value []byte) {
	start := len(t.keys)
	keys := append(t.keys, byte(field))
	if field == FieldToken {
		keys = append(keys, value...)
	} else {
		keys = appendFolded(keys, value)
	}
	if len(keys)-start-1 > shortTerm {
		keys = append(keys[:start+1], NewTerm(field, string(value)).Value...)
	}
	t.put(keys)
}

// put adds the term at the end of keys, which holds the others before it, if it is
// new and there is room.
func (t *Terms) put(keys []byte) {
	start := len(t.keys)
	t.keys = keys[:start] // the memory may have grown
	count, limit := &t.others, MaxEventTerms-MaxEventWords
	if Field(keys[start]) == FieldWord {
		count, limit = &t.words, MaxEventWords
	}
	if *count == limit {
		return
	}
	hash := termHash(keys[start:])
	i := hash % uint32(len(t.table))
	for t.table[i] != 0 {
		if n := t.begin + int(t.table[i]-1); t.hashes[n] == hash && bytes.Equal(t.key(n), keys[start:]) {
			return
		}
		i = (i + 1) % uint32(len(t.table))
	}
	*count++
	t.keys, t.ends, t.hashes = keys, append(t.ends, len(keys)), append(t.hashes, hash)
	t.table[i] = uint8(len(t.ends) - t.begin)
}

// shortTerm is up to where a folded value is a term of any field as it is.
const shortTerm = 64

// addWords adds the words of a text. It reads each byte once: [NextWord] says the
// same of words in ASCII, and is asked about all others.
func (t *Terms) addWords(text []byte) {
	for i := 0; i < len(text) && t.words < MaxEventWords; i++ {
		if wordByte[text[i]] == 0 {
			continue
		}
		start, at := i, len(t.keys)
		keys := append(slices.Grow(t.keys, shortTerm+2), byte(FieldWord))
		word := keys[at+1 : at+shortTerm+2]
		n := 0
		for ; i < len(text) && n < len(word) && wordByte[text[i]]-1 < utf8.RuneSelf-1; i++ {
			word[n] = wordByte[text[i]]
			n++
		}
		if n > shortTerm || i < len(text) && text[i] >= utf8.RuneSelf {
			i = t.addRun(text, start)
			continue
		}
		keys = keys[:at+1+n]
		t.put(keys)
	}
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

// wordByte holds 0 for bytes that end a word, for others of ASCII the folded byte,
// and utf8.RuneSelf for those beyond.
var wordByte = wordBytes()

func wordBytes() (table [256]byte) {
	for c := range table {
		if c >= utf8.RuneSelf {
			table[c] = utf8.RuneSelf
		} else if _, in := wordRune(string(rune(c))); in {
			table[c] = byte(unicode.ToLower(rune(c)))
		}
	}
	return table
}

// appendFolded appends value as [sluice.FoldNamespace] folds it.
func appendFolded(dst, value []byte) []byte {
	start := len(dst)
	dst = append(dst, value...)
	for i := start; i < len(dst); {
		if len(dst)-i >= 8 {
			v := binary.LittleEndian.Uint64(dst[i:])
			if v&highBits == 0 {
				binary.LittleEndian.PutUint64(dst[i:], lower(v))
				i += 8
				continue
			}
		}
		c := dst[i]
		if c >= utf8.RuneSelf {
			return appendLower(dst[:i], value[i-start:])
		}
		if c-'A' < 26 {
			dst[i] = c + 'a' - 'A'
		}
		i++
	}
	return dst
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x80 * eachByte
)

// lower folds eight bytes of ASCII at once: the sums have the high bit of each byte
// that is at least 'A', and beyond 'Z'.
func lower(v uint64) uint64 {
	upper := (v + (0x80-'A')*eachByte) &^ (v + (0x7f-'Z')*eachByte) & highBits
	return v | upper>>2
}

// appendLower is appendFolded for other characters than ASCII.
func appendLower(dst, value []byte) []byte {
	for len(value) > 0 {
		r, n := utf8.DecodeRune(value)
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		value = value[n:]
	}
	return dst
}

// view returns the bytes of s, which nobody may change.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
