package sluice

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

const (
	// fewKeys is how many keys the small table takes. A hash that can be
	// attacked is good enough for them: at worst they are compared pairwise.
	fewKeys = 64
	// shortKey is up to where, in bytes, quickHash sees all of a key.
	shortKey = 16
	// keptKeys is for how many keys a set keeps memory between events.
	keptKeys = 1 << 10
)

// keySet is the set of an event's top-level keys: an open hash table over
// positions in src. Its memory is used again by the next event.
type keySet struct {
	keys    []keyRef
	few     [4 * fewKeys]uint8 // index into keys + 1, while there are few
	many    []uint32           // the same, afterwards; a power of two, at most half full
	decoded []byte             // keys that hold escapes, decoded
	seed    maphash.Seed
	seeded  bool
}

// keyRef is a key and its hash. The key lies in src, or in decoded.
type keyRef struct {
	hash       uint32
	start, end int32
	decoded    bool
}

// reset makes the set empty and gives back what an unusual event left behind.
func (k *keySet) reset() {
	clear(k.few[:])
	k.keys, k.many, k.decoded = k.keys[:0], nil, k.decoded[:0]
	if cap(k.keys) > keptKeys {
		k.keys = nil
	}
	if cap(k.decoded) > keptKeys*shortKey {
		k.decoded = nil
	}
}

// add adds the key in src from start to end and reports whether it is new. The
// name it returns is the decoded one and valid until the next call.
func (k *keySet) add(src []byte, start, end int, escaped bool) (name []byte, added bool) {
	ref := keyRef{start: int32(start), end: int32(end)}
	if name = src[start:end]; escaped {
		name = k.decode(name, &ref)
	}
	if len(k.keys) >= fewKeys {
		return name, k.addMany(src, name, ref)
	}
	if len(name) <= shortKey {
		ref.hash = quickHash(name)
	} else {
		ref.hash = k.strongHash(name)
	}
	i := ref.hash % uint32(len(k.few))
	for k.few[i] != 0 {
		if k.same(src, name, ref.hash, k.keys[k.few[i]-1]) {
			return name, false
		}
		i = (i + 1) % uint32(len(k.few))
	}
	k.keys = append(k.keys, ref)
	k.few[i] = uint8(len(k.keys))
	return name, true
}

// decode makes ref one to the decoded key.
func (k *keySet) decode(raw []byte, ref *keyRef) []byte {
	start := len(k.decoded)
	k.decoded = AppendUnescaped(k.decoded, raw)
	*ref = keyRef{start: int32(start), end: int32(len(k.decoded)), decoded: true}
	return k.decoded[start:]
}

func (k *keySet) name(src []byte, ref keyRef) []byte {
	if ref.decoded {
		src = k.decoded
	}
	return src[ref.start:ref.end]
}

// addMany adds to the large table, which nobody can attack without the seed.
func (k *keySet) addMany(src, name []byte, ref keyRef) bool {
	if 2*len(k.keys) >= len(k.many) {
		k.grow(src)
	}
	ref.hash = k.strongHash(name)
	i := ref.hash & uint32(len(k.many)-1)
	for k.many[i] != 0 {
		if k.same(src, name, ref.hash, k.keys[k.many[i]-1]) {
			return false
		}
		i = (i + 1) & uint32(len(k.many)-1)
	}
	k.keys = append(k.keys, ref)
	k.many[i] = uint32(len(k.keys))
	return true
}

// grow makes the large table four times as large as there are keys, and gives
// the keys of the small one their strong hash.
func (k *keySet) grow(src []byte) {
	if k.many == nil {
		for j, ref := range k.keys {
			k.keys[j].hash = k.strongHash(k.name(src, ref))
		}
	}
	k.many = make([]uint32, 1<<bits.Len(uint(4*len(k.keys)-1)))
	for j, ref := range k.keys {
		i := ref.hash & uint32(len(k.many)-1)
		for k.many[i] != 0 {
			i = (i + 1) & uint32(len(k.many)-1)
		}
		k.many[i] = uint32(j + 1)
	}
}

func (k *keySet) same(src, name []byte, hash uint32, ref keyRef) bool {
	return ref.hash == hash && int(ref.end-ref.start) == len(name) && bytes.Equal(name, k.name(src, ref))
}

func (k *keySet) strongHash(name []byte) uint32 {
	if !k.seeded {
		k.seed, k.seeded = maphash.MakeSeed(), true
	}
	return uint32(maphash.Bytes(k.seed, name))
}

// quickHash mixes a key's first and last bytes and its length.
func quickHash(b []byte) uint32 {
	var first, last uint64
	switch n := len(b); {
	case n >= 8:
		first, last = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		first, last = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	case n > 0:
		first, last = uint64(b[0]), uint64(b[n/2])<<8|uint64(b[n-1])
	}
	hi, lo := bits.Mul64(first^0x9e3779b97f4a7c15^uint64(len(b)), last^0xc2b2ae3d27d4eb4f)
	return uint32(hi ^ lo)
}
