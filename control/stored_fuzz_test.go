package control

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzPassword reads digests of passwords that are anything at all: one that is
// taken has a key of the right size, costs no more than the most expensive one, and
// is written as it was read.
func FuzzPassword(f *testing.F) {
	f.Add(encodePassword(19<<10, 2, []byte("a salt of bytes!"), bytes.Repeat([]byte{7}, passwordKey)))
	for _, text := range []string{"$argon2id$v=19$m=4294967295,t=1,p=1$YQ$YQ", "$argon2id$v=19$m=64,t=0,p=1$$", "$argon2i$v=19$m=64,t=1,p=1$YQ$YQ", "$$$$$", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		memory, passes, salt, key, err := decodePassword(stored)
		if err != nil {
			return
		}
		if memory > 1<<20 || passes == 0 || passes > 100 || len(key) != passwordKey {
			t.Fatalf("%q: got %d KiB, %d passes, a key of %d bytes", stored, memory, passes, len(key))
		}
		m, p, s, k, err := decodePassword(encodePassword(memory, passes, salt, key))
		if err != nil || m != memory || p != passes || !bytes.Equal(s, salt) || !bytes.Equal(k, key) {
			t.Errorf("%q: written and read again it is %d, %d, %x, %x (%v)", stored, m, p, s, k, err)
		}
	})
}

// FuzzDigest: a digest of a token or cookie is written as it was read.
func FuzzDigest(f *testing.F) {
	for _, text := range []string{digestOf("x").String(), "00", "", "zz"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseDigest(text); err == nil && !strings.EqualFold(d.String(), text) {
			t.Errorf("%q: got %s", text, d)
		}
	})
}

// FuzzHeaders takes the values out of the headers of a configuration, and puts them
// back: the same configuration, and none of its values in what is shown.
func FuzzHeaders(f *testing.F) {
	for _, config := range []string{`{"url":"x","headers":[{"name":"A","value":"v","active":true},{"name":"B"}]}`, `{"headers":[]}`, `{"headers":null}`, `{"headers":[null]}`, `{"headers":{}}`, `null`, `{}`} {
		f.Add([]byte(config), []byte(`["v",null]`))
	}
	f.Fuzz(func(t *testing.T, config, values []byte) {
		out, err := putHeaderValues(config, values)
		if err != nil {
			return
		}
		_, headers, err := readHeaders(out)
		if err != nil {
			t.Fatalf("%q with %q: %s cannot be read: %v", config, values, out, err)
		}
		var list []json.RawMessage
		if err := json.Unmarshal(values, &list); err != nil || len(list) != len(headers) {
			t.Errorf("%q with %q: got %d headers", config, values, len(headers))
		}
	})
}

// FuzzRenumber: parts that stay keep their numbers, and no number is given twice.
func FuzzRenumber(f *testing.F) {
	f.Add([]byte("abc"), []byte("cad"), uint8(3))
	f.Add([]byte("aa"), []byte("aaa"), uint8(1))
	f.Fuzz(func(t *testing.T, before, now []byte, numbered uint8) {
		names := func(b []byte) (out []string) {
			for _, c := range b[:min(len(b), 40)] {
				out = append(out, string(rune(c)))
			}
			return out
		}
		old := names(before)
		had := make([]int64, min(int(numbered), len(old)))
		n := numbers{}
		for i := range had {
			n.Last++
			had[i] = n.Last
		}
		seen := map[int64]bool{}
		for i, number := range n.renumber(old, had, names(now)) {
			if number <= 0 || number > n.Last || seen[number] {
				t.Fatalf("%q to %q: part %d got number %d", before, now, i, number)
			}
			seen[number] = true
		}
	})
}
