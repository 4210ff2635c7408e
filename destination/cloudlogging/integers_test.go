package cloudlogging

import (
	"bytes"
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"
)

func TestIntegersBeyondDoubles(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"none", `{"a":1,"b":[2,3.5,-4]}`, `{"a":1,"b":[2,3.5,-4]}`},
		{"2^53", `{"a":9007199254740992}`, `{"a":9007199254740992}`},
		{"-2^53", `{"a":-9007199254740992}`, `{"a":-9007199254740992}`},
		{"2^53+1", `{"a":9007199254740993}`, `{"a":"9007199254740993"}`},
		{"-2^53-1", `{"a":-9007199254740993}`, `{"a":"-9007199254740993"}`},
		{"17 digits", `{"a":10000000000000000}`, `{"a":"10000000000000000"}`},
		{"no key in front", `[9007199254740993,1,18446744073709551615]`, `["9007199254740993",1,"18446744073709551615"]`},
		{"nested", `{"a":{"b":[[123456789012345678],{"c":-123456789012345678}]},"d":"e"}`, `{"a":{"b":[["123456789012345678"],{"c":"-123456789012345678"}]},"d":"e"}`},
		{"in a string", `{"a":"9007199254740993, 9007199254740993"}`, `{"a":"9007199254740993, 9007199254740993"}`},
		{"behind escaped quotes", `{"a":"\"\\\" 9007199254740993","b":9007199254740993}`, `{"a":"\"\\\" 9007199254740993","b":"9007199254740993"}`},
		{"behind an escaped backslash", `{"a":"\\","b":9007199254740993}`, `{"a":"\\","b":"9007199254740993"}`},
		{"in a key", `{"9007199254740993":9007199254740993}`, `{"9007199254740993":"9007199254740993"}`},
		{"fraction", `{"a":9007199254740993.0,"b":0.12345678901234567890}`, `{"a":9007199254740993.0,"b":0.12345678901234567890}`},
		{"exponent", `{"a":9007199254740993e2,"b":1E20}`, `{"a":9007199254740993e2,"b":1E20}`},
		{"literals", `{"a":[true,false,null,true,false,null],"b":9007199254740993}`, `{"a":[true,false,null,true,false,null],"b":"9007199254740993"}`},
		{"very long", `{"a":` + strings.Repeat("9", 400) + `}`, `{"a":"` + strings.Repeat("9", 400) + `"}`},
		{"at the end", `9007199254740993`, `"9007199254740993"`},
		{"empty", ``, ``},
	} {
		if got := string(appendPayload([]byte("x"), []byte(c.in))); got != "x"+c.want {
			t.Errorf("%s: got %s, want x%s", c.name, got, c.want)
		}
	}
}

// FuzzIntegers compares with a decoder that keeps numbers as they are written.
func FuzzIntegers(f *testing.F) {
	for _, s := range []string{
		`{"a":9007199254740993}`, `{"a":"\\\"","b":[-9007199254740993,1e5,12345678901234567890.5]}`, `{"a":[true,null,99999999999999999]}`,
		`{"\\":"\\\\","b":" 9007199254740993"}`, `[]`, `{"a":{"b":9007199254740992}}`, "{\"a\" :\n 123456789012345678\t}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		out := appendPayload(nil, in) // must not panic, whatever comes
		if !bytes.Equal(in, before) {
			t.Fatalf("input after: got %q, want %q", in, before)
		}
		want, ok := decodeNumbers(in)
		if !ok {
			return
		}
		got, ok := decodeNumbers(out)
		if !ok {
			t.Fatalf("output of %q: got %q, want JSON", in, out)
		}
		if want = quoteLarge(want); !reflect.DeepEqual(got, want) {
			t.Errorf("output of %q: got %#v, want %#v", in, got, want)
		}
		if unquoted := len(out) - len(in); unquoted%2 != 0 || unquoted == 0 && !bytes.Equal(in, out) {
			t.Errorf("output of %q: got %q, want the same bytes but for quotes", in, out)
		}
	})
}

func decodeNumbers(in []byte) (v any, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(in))
	dec.UseNumber()
	ok = json.Valid(in) && dec.Decode(&v) == nil
	return v, ok
}

// quoteLarge makes strings of the integers beyond 2^53.
func quoteLarge(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = quoteLarge(v[name])
		}
	case []any:
		for i := range v {
			v[i] = quoteLarge(v[i])
		}
	case json.Number:
		n, isInteger := new(big.Int).SetString(string(v), 10)
		if isInteger && n.CmpAbs(new(big.Int).Lsh(big.NewInt(1), 53)) > 0 {
			return string(v)
		}
	}
	return v
}

func TestPayloadsWithoutLargeIntegersAreCopied(t *testing.T) {
	payload := []byte(`{"id":"e-1","entity_id":123456789,"details":{"list":[1,2,3,4,5,6,7,8,9,10,11,12],"text":"größe \u0041 \"x\""}}`)
	buffer := make([]byte, 0, 2*len(payload))
	if got := testing.AllocsPerRun(100, func() { buffer = appendPayload(buffer[:0], payload) }); got != 0 {
		t.Errorf("allocations: got %v, want none", got)
	}
	if !bytes.Equal(buffer, payload) {
		t.Errorf("payload: got %s, want %s", buffer, payload)
	}
}
