package sluice_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
)

// newScanner returns a scanner that makes the id "made".
func newScanner() *sluice.Scanner {
	return &sluice.Scanner{NewID: func(dst []byte) []byte { return append(dst, "made"...) }}
}

// scanError returns what refused the event, which must be an EventError.
func scanError(t *testing.T, err error) *sluice.EventError {
	t.Helper()
	refusal, ok := errors.AsType[*sluice.EventError](err)
	if !ok {
		t.Fatalf("got error %v (%T), want an *EventError", err, err)
	}
	if refusal.Message == "" || refusal.Hint == "" {
		t.Errorf("got %+v, want a message and a hint", refusal)
	}
	return refusal
}

// with returns an event that needs nothing more, with members added.
func with(members string) string {
	return `{"id":1,"event_type":"t","entity_path":"acme/web",` + members + `}`
}

func TestScanRefusesWhatIsNoJSON(t *testing.T) {
	deep := strings.Repeat("[", sluice.MaxEventDepth) + strings.Repeat("]", sluice.MaxEventDepth)
	for _, test := range []struct {
		name, src, code string
		offset          int // -1: not checked
	}{
		{"nothing", ``, sluice.CodeMalformedJSON, 0},
		{"white space", " \n", sluice.CodeMalformedJSON, 2},
		{"word", `hello`, sluice.CodeMalformedJSON, 0},
		{"byte order mark", "\ufeff{}", sluice.CodeMalformedJSON, 0},
		{"array", ` [{}]`, sluice.CodeNotAnObject, 1},
		{"string", `"{}"`, sluice.CodeNotAnObject, 0},
		{"number", `-1`, sluice.CodeNotAnObject, 0},
		{"true", `true`, sluice.CodeNotAnObject, 0},
		{"null", `null`, sluice.CodeNotAnObject, 0},
		{"key without quotes", `{a:1}`, sluice.CodeMalformedJSON, 1},
		{"number as key", `{1:1}`, sluice.CodeMalformedJSON, 1},
		{"no colon", `{"a" 1}`, sluice.CodeMalformedJSON, 5},
		{"no value", `{"a":}`, sluice.CodeMalformedJSON, 5},
		{"no comma", `{"a":1 "b":2}`, sluice.CodeMalformedJSON, 7},
		{"comma before the end", `{"a":1,}`, sluice.CodeMalformedJSON, 7},
		{"comma first", `{,"a":1}`, sluice.CodeMalformedJSON, 1},
		{"comma in an array", `{"a":[1,]}`, sluice.CodeMalformedJSON, 8},
		{"array closed by brace", `{"a":[1}}`, sluice.CodeMalformedJSON, 7},
		{"object closed by bracket", `{"a":{"b":1]}`, sluice.CodeMalformedJSON, 11},
		{"nested comma before the end", `{"a":{"b":1,}}`, sluice.CodeMalformedJSON, 12},
		{"nested key without quotes", `{"a":{b:1}}`, sluice.CodeMalformedJSON, 6},
		{"single quotes", `{'a':1}`, sluice.CodeMalformedJSON, 1},
		{"comment", `{/**/}`, sluice.CodeMalformedJSON, 1},
		{"form feed as space", "{\f}", sluice.CodeMalformedJSON, 1},
		{"zero byte as space", "{\x00}", sluice.CodeMalformedJSON, 1},
		{"NaN", `{"a":NaN}`, sluice.CodeMalformedJSON, 5},
		{"wrong literal", `{"a":trux}`, sluice.CodeMalformedJSON, 8},
		{"upper-case literal", `{"a":True}`, sluice.CodeMalformedJSON, 5},
		{"long literal", `{"a":nullx}`, sluice.CodeMalformedJSON, 9},
		{"plus sign", `{"a":+1}`, sluice.CodeMalformedJSON, 5},
		{"leading zero", `{"a":01}`, sluice.CodeMalformedJSON, 6},
		{"minus alone", `{"a":-}`, sluice.CodeMalformedJSON, 6},
		{"no fraction", `{"a":1.}`, sluice.CodeMalformedJSON, 7},
		{"no integer", `{"a":.5}`, sluice.CodeMalformedJSON, 5},
		{"no exponent", `{"a":1e}`, sluice.CodeMalformedJSON, 7},
		{"no exponent after sign", `{"a":1e+}`, sluice.CodeMalformedJSON, 8},
		{"hexadecimal", `{"a":0x10}`, sluice.CodeMalformedJSON, 6},
		{"line feed in string", "{\"a\":\"b\n\"}", sluice.CodeMalformedJSON, 7},
		{"control character in key", "{\"a\x1f\":1}", sluice.CodeMalformedJSON, 3},
		{"unknown escape", `{"a":"\x41"}`, sluice.CodeMalformedJSON, 7},
		{"short unicode escape", `{"a":"\u12"}`, sluice.CodeMalformedJSON, 10},
		{"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}", sluice.CodeInvalidUTF8, 6},
		{"surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", sluice.CodeInvalidUTF8, 6},
		{"beyond Unicode", "{\"a\":\"\xf4\x90\x80\x80\"}", sluice.CodeInvalidUTF8, 6},
		{"continuation alone", "{\"a\":\"12345678\x80\"}", sluice.CodeInvalidUTF8, 14},
		{"cut character", "{\"a\":\"\xe2\x82\"}", sluice.CodeInvalidUTF8, 6},
		{"invalid UTF-8 in key", "{\"\xff\":1}", sluice.CodeInvalidUTF8, 2},
		{"high surrogate alone", `{"a":"\ud800"}`, sluice.CodeInvalidUTF8, 6},
		{"low surrogate alone", `{"a":"\udc00"}`, sluice.CodeInvalidUTF8, 6},
		{"two high surrogates", `{"a":"\ud800\ud800"}`, sluice.CodeInvalidUTF8, 6},
		{"high surrogate and escape", `{"a":"\ud800\n"}`, sluice.CodeInvalidUTF8, 6},
		{"too deep", `{"a":` + deep + `}`, sluice.CodeTooDeep, 5 + sluice.MaxEventDepth - 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, env, n, err := newScanner().Scan([]byte("kept"), []byte(test.src))
			refusal := scanError(t, err)
			if refusal.Code != test.code || refusal.Offset != test.offset {
				t.Errorf("got %s at %d (%s), want %s at %d", refusal.Code, refusal.Offset, refusal.Message, test.code, test.offset)
			}
			if n != 0 || string(out) != "kept" || env.Type != nil {
				t.Errorf("got n %d, out %q, type %q; want 0, dst as it was, no envelope", n, out, env.Type)
			}
		})
	}
}

func TestScanNamesATruncatedEvent(t *testing.T) {
	whole := with(`"s":"a\u00e9\ud83d\ude00é€😀","n":-1.5e+3,"l":[true,false,null,{"k":{}}]`)
	for i := 1; i < len(whole); i++ {
		_, _, n, err := newScanner().Scan(nil, []byte(whole[:i]))
		refusal := scanError(t, err)
		if refusal.Code != sluice.CodeMalformedJSON || !strings.Contains(refusal.Message, "ends in the middle of an object") || n != 0 {
			t.Fatalf("first %d bytes: got %s (%s), n %d; want %s, ends in the middle", i, refusal.Code, refusal.Message, n, sluice.CodeMalformedJSON)
		}
		s := newScanner()
		s.MaxEvent = i
		_, _, n, err = s.Scan(nil, []byte(whole))
		if got := scanError(t, err).Code; got != sluice.CodeTooLarge || n != 0 {
			t.Fatalf("limit %d: got %s, n %d; want %s, 0", i, got, n, sluice.CodeTooLarge)
		}
	}
	s := newScanner()
	s.MaxEvent = len(whole)
	if _, _, n, err := s.Scan(nil, []byte("\n\n"+whole+" ")); err != nil || n != len(whole)+2 {
		t.Errorf("at the limit: got n %d, error %v; want %d, nil", n, err, len(whole)+2)
	}
}

func TestScanAccepts(t *testing.T) {
	deep := strings.Repeat(`[`, sluice.MaxEventDepth-1) + strings.Repeat(`]`, sluice.MaxEventDepth-1)
	for name, members := range map[string]string{
		"numbers":             `"a":[0,-0,0.0,-1.25E-7,1e5,123456789012345678901234567890]`,
		"escapes":             `"a":"\"\\\/\b\f\n\r\t\u0000\uFFFF\ud83d\ude00"`,
		"UTF-8":               `"é€😀":"é€😀 plain é€😀"`,
		"delete character":    "\"a\":\"\x7f\"",
		"empty key":           `"":{"":{},"x":[]}`,
		"nested duplicates":   `"a":{"b":1,"b":2}`,
		"deep":                `"a":` + deep,
		"empty containers":    `"a":[[],{},[{}]],"b":{}`,
		"key that looks like": `"Id":2,"id ":3,"ID":4`,
	} {
		src := with(members)
		out, _, n, err := newScanner().Scan([]byte("x"), []byte(src+"]garbage"))
		if err != nil || n != len(src) || string(out) != "x"+src {
			t.Errorf("%s: got out %q, n %d, error %v; want the same bytes, %d, nil", name, out, n, err, len(src))
		}
	}
}

func TestScanRemovesWhiteSpace(t *testing.T) {
	src := " \t{ \"id\" : 1 ,\r\n\"event_type\":\"a b \\n\", \"x\" : [ 1 , { \"y\" : \" \" } , [ ] , { } ] , \"entity_path\": \"acme\" }"
	want := `{"id":1,"event_type":"a b \n","x":[1,{"y":" "},[],{}],"entity_path":"acme"}`
	s := newScanner()
	_, _, n, err := s.Scan(nil, []byte(src+" \n"))
	if got := scanError(t, err).Code; got != sluice.CodeBadType || n != len(src) {
		t.Errorf("line feed in type: got %s, n %d; want %s, %d", got, n, sluice.CodeBadType, len(src))
	}
	src, want = strings.Replace(src, `\n`, `\\`, 1), strings.Replace(want, `\n`, `\\`, 1)
	out, env, n, err := s.Scan([]byte("before "), []byte(src+" \n"))
	if err != nil || string(out) != "before "+want || n != len(src) {
		t.Errorf("got %q, n %d, error %v; want %q, %d", out, n, err, "before "+want, len(src))
	}
	if string(env.Type) != `a b \` || string(env.Namespace) != "acme" || env.IDOffset != 6 {
		t.Errorf("got type %q, namespace %q, id offset %d; want %q, acme, 6", env.Type, env.Namespace, env.IDOffset, `a b \`)
	}
}

func TestScanRefusesDuplicateKeys(t *testing.T) {
	long := strings.Repeat("é", 40)
	var many strings.Builder
	for i := range 300 {
		fmt.Fprintf(&many, `"key%d":0,`, i)
	}
	for _, test := range []struct{ name, members, shown string }{
		{"plain", `"a":1,"a":2`, `"a"`},
		{"of the envelope", `"event_type":"u"`, `"event_type"`},
		{"escaped", `"a":1,"\u0061":2`, `"a"`},
		{"escaped first", `"\u0061":1,"a":2`, `"a"`},
		{"both escaped", `"\u00e9":1,"\u00E9":2`, `"é"`},
		{"escaped and raw", `"é\/":1,"\u00e9/":2`, `"é/"`},
		{"empty", `"":1,"":2`, `""`},
		{"surrogates", `"\ud83d\ude00":1,"😀":2`, `"😀"`},
		{"long", `"` + long + `":1,"` + long + `":2`, `"` + long[:64] + `"`},
		{"control characters", `"\u0000":1,"\u0000":2`, `"\x00"`},
		{"among many", many.String() + `"key299":1`, `"key299"`},
		{"first of many", many.String() + `"key\u0030":1`, `"key0"`},
	} {
		src := with(test.members)
		_, _, n, err := newScanner().Scan(nil, []byte(src))
		refusal := scanError(t, err)
		if refusal.Code != sluice.CodeDuplicateKey || !strings.Contains(refusal.Message, " "+test.shown+" ") || n != len(src) {
			t.Errorf("%s: got %s (%s), n %d; want %s of %s, %d", test.name, refusal.Code, refusal.Message, n, sluice.CodeDuplicateKey, test.shown, len(src))
		}
	}
}

// TestScanHandlesManyKeys covers both key tables and the change between them, for
// keys that are short, long, and escaped.
func TestScanHandlesManyKeys(t *testing.T) {
	s := newScanner()
	for _, count := range []int{1, 55, 60, 61, 62, 63, 64, 65, 66, 130, 5000} {
		for _, form := range []string{`"k%d":0`, `"a rather long key, number %d":0`, `"\u006b%d":0`} {
			var members strings.Builder
			for i := range count {
				fmt.Fprintf(&members, form+",", i)
			}
			unique := with(members.String() + `"end":0`)
			if out, _, _, err := s.Scan(nil, []byte(unique)); err != nil || string(out) != unique {
				t.Errorf("%d keys %s: got error %v, want the event", count, form, err)
			}
			for _, again := range []int{0, count / 2, count - 1} {
				twice := with(members.String() + fmt.Sprintf(form, again))
				_, _, _, err := s.Scan(nil, []byte(twice))
				if got := scanError(t, err).Code; got != sluice.CodeDuplicateKey {
					t.Errorf("%d keys %s, key %d again: got %s, want %s", count, form, again, got, sluice.CodeDuplicateKey)
				}
			}
		}
	}
}

func TestScanNamesTheFirstDuplicateOnly(t *testing.T) {
	_, _, _, err := newScanner().Scan(nil, []byte(`{"b":1,"a":1,"b":2,"a":2}`))
	refusal := scanError(t, err)
	if refusal.Offset != 13 || !strings.Contains(refusal.Message, `"b"`) {
		t.Errorf("got %s at %d, want the second b at 13", refusal.Message, refusal.Offset)
	}
	_, _, n, err := newScanner().Scan(nil, []byte(`{"b":1,"b":2,]`))
	if got := scanError(t, err).Code; got != sluice.CodeMalformedJSON || n != 0 {
		t.Errorf("duplicate in a malformed event: got %s, n %d; want %s, 0", got, n, sluice.CodeMalformedJSON)
	}
}

func TestScanMessagesHoldNoPayload(t *testing.T) {
	const secret = "hunter2"
	for _, src := range []string{
		`{"password":"` + secret + "\x01" + `"}`, `{"a":` + secret + `}`, `{"a":"` + secret + `\x"}`,
		`{"id":{"` + secret + `":1},"event_type":"t","entity_path":"a"}`,
		with(`"created_at":"` + secret + `"`),
		`{"id":1,"event_type":"` + secret + `\u0001","entity_path":"a"}`,
		`{"id":1,"event_type":"t","entity_path":"` + secret + `//"}`,
		`{"id":1,"event_type":"t","entity_path":"` + secret + `/../x"}`,
		`{"id":1,"event_type":"t","entity_path":"` + secret + `\u0001"}`,
		`{"id":1,"event_type":"t","repo":{"` + secret + `":1}}`,
	} {
		_, _, _, err := newScanner().Scan(nil, []byte(src))
		if refusal := scanError(t, err); strings.Contains(refusal.Message+refusal.Hint, secret) {
			t.Errorf("got %q for %q, want no payload in it", refusal.Message, src)
		}
	}
}

func TestEnvelopesStayValid(t *testing.T) {
	s := newScanner()
	var envs []sluice.Envelope
	var outs [][]byte
	for i := range 1000 {
		src := fmt.Sprintf(`{"id":%d,"action":"\u0074ype%d","business":"acme","repo":"shop/web%d","actor":"\u0061ctor%d"}`, i, i, i, i)
		out, env, _, err := s.Scan(nil, []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		envs, outs = append(envs, env), append(outs, out)
	}
	for i, env := range envs {
		got := fmt.Sprintf("%s %s %s %s", env.ID, env.Type, env.Namespace, env.Actor)
		want := fmt.Sprintf("%d type%d acme/shop/web%d actor%d", i, i, i, i)
		if got != want {
			t.Fatalf("event %d of %q: got %s, want %s", i, outs[i], got, want)
		}
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	for _, file := range []string{"testdata/bench_gitlab.json", "testdata/bench_github.json"} {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		src = bytes.TrimSpace(src)
		s := newScanner()
		s.TopLevel = "Acme"
		dst := make([]byte, 0, 2*len(src))
		if got := testing.AllocsPerRun(1000, func() {
			if _, _, _, err := s.Scan(dst, src); err != nil {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("%s: got %v allocations an event, want 0", file, got)
		}
	}
}

func TestEventErrorIsCutWithinCharacters(t *testing.T) {
	key := "a" + strings.Repeat("😀", 30)
	_, _, _, err := newScanner().Scan(nil, []byte(with(`"`+key+`":1,"`+key+`":2`)))
	message := scanError(t, err).Message
	if !utf8.ValidString(message) || strings.Contains(message, `\x`) || !strings.Contains(message, key[:61]+`"`) {
		t.Errorf("got %q, want the key cut to whole characters", message)
	}
}

// readEvents returns the lines of a file in testdata.
func readEvents(t testing.TB, name string) [][]byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(data), []byte("\n"))
}
