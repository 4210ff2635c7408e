package corpus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
)

func generate(t *testing.T, spec Spec, connection, n int) [][]byte {
	t.Helper()
	c, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	g := c.Generator(connection)
	events := make([][]byte, n)
	for i := range events {
		events[i] = g.Append(nil, uint64(i), 1_700_000_000_000_000_000+int64(i))
	}
	return events
}

func specs() []Spec {
	return []Spec{
		{Kind: Plain, Seed: 7},
		{Kind: Plain, Tenants: FiveTenants, Seed: 7},
		{Kind: Plain, Tenants: ZipfTenants, Seed: 7},
		{Kind: Varied, Seed: 7},
		{Kind: Dated, Seed: 7, Events: 500},
	}
}

func TestSameSeedSameEvents(t *testing.T) {
	for _, spec := range specs() {
		t.Run(fmt.Sprint(spec), func(t *testing.T) {
			a, b := generate(t, spec, 3, 500), generate(t, spec, 3, 500)
			for i := range a {
				if !bytes.Equal(a[i], b[i]) {
					t.Fatalf("event %d: got %s, want %s", i, b[i], a[i])
				}
			}
			spec.Seed++
			if other := generate(t, spec, 3, 1); bytes.Equal(a[0], other[0]) {
				t.Errorf("another seed made the same event: %s", other[0])
			}
		})
	}
}

func TestEventsAreCompactJSONOfTheRightSize(t *testing.T) {
	for _, spec := range specs() {
		t.Run(fmt.Sprint(spec), func(t *testing.T) {
			total, events := 0, generate(t, spec, 3, 500)
			for _, e := range events {
				var compact bytes.Buffer
				if err := json.Compact(&compact, e); err != nil {
					t.Fatalf("event %s: %v", e, err)
				}
				if got, want := string(e), compact.String()+"\n"; got != want {
					t.Fatalf("event: got %s, want %s", got, want)
				}
				total += len(e)
			}
			if mean := total / len(events); mean < 1000 || mean > 1096 {
				t.Errorf("mean size: got %d, want about 1048", mean)
			}
		})
	}
}

func TestStampComesBack(t *testing.T) {
	for _, spec := range specs() {
		c, err := New(spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []Stamp{{0, 0, 1}, {255, 12_345_678, 1_763_000_000_123_456_789}, {MaxConnections - 1, 1<<48 - 1, 1 << 60}} {
			got, ok := ParseStamp(c.Generator(want.Connection).Append(nil, want.Seq, want.Sent))
			if !ok || got != want {
				t.Errorf("stamp: got %v, %v, want %v", got, ok, want)
			}
			quoted := strings.Replace(string(c.Generator(want.Connection).Append(nil, want.Seq, want.Sent)), `"sent_ns":`, `"sent_ns":"`, 1)
			if got, ok := ParseStamp([]byte(quoted)); !ok || got != want {
				t.Errorf("stamp with the time in quotes: got %v, %v, want %v", got, ok, want)
			}
		}
	}
	for _, foreign := range []string{"", "{}", `{"id":"0198c0de-0000-7000-`, strings.Repeat("x", 200)} {
		if s, ok := ParseStamp([]byte(foreign)); ok {
			t.Errorf("stamp of %q: got %v, want none", foreign, s)
		}
	}
}

func TestTenants(t *testing.T) {
	for _, test := range []struct {
		tenants  string
		min, max int
	}{{OneTenant, 1, 1}, {FiveTenants, 5, 5}, {ZipfTenants, 1500, 10_000}} {
		seen := map[string]bool{}
		for _, e := range generate(t, Spec{Kind: Plain, Tenants: test.tenants}, 0, 10_000) {
			var fields struct {
				Path string `json:"entity_path"`
			}
			if err := json.Unmarshal(e, &fields); err != nil {
				t.Fatal(err)
			}
			top, _, _ := strings.Cut(fields.Path, "/")
			seen[top] = true
		}
		if got := len(seen); got < test.min || got > test.max {
			t.Errorf("%q: got %d tenants, want %d to %d", test.tenants, got, test.min, test.max)
		}
	}
}

func TestSluiceReadsEveryEvent(t *testing.T) {
	classes := map[sluice.Class]int{}
	for _, spec := range specs() {
		var scanner sluice.Scanner
		for _, e := range generate(t, spec, 3, 500) {
			out, env, _, err := scanner.Scan(nil, e)
			if err != nil || string(out)+"\n" != string(e) {
				t.Fatalf("scan %s: got %s, %v, want the same", e, out, err)
			}
			if err := sluice.CheckNamespace(string(env.Namespace)); err != nil || len(env.Type) == 0 || len(env.Actor) == 0 || env.Time.IsZero() {
				t.Fatalf("envelope of %s: got %+v, %v, want all of it", e, env, err)
			}
			classes[env.Class]++
		}
	}
	if classes[sluice.Audit] < 1500 || classes[sluice.Git] == 0 {
		t.Errorf("classes: got %v, want mostly audit and some git", classes)
	}
}

func TestUnknownCorpus(t *testing.T) {
	for _, spec := range []Spec{{Kind: "x"}, {Kind: Plain, Tenants: "x"}, {Kind: Varied, Tenants: FiveTenants}, {Kind: Dated}} {
		if _, err := New(spec); err == nil {
			t.Errorf("corpus %v: got no error", spec)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, spec := range specs() {
		b.Run(fmt.Sprint(spec), func(b *testing.B) {
			c, err := New(spec)
			if err != nil {
				b.Fatal(err)
			}
			g, buf := c.Generator(0), make([]byte, 0, 4096)
			for i := 0; b.Loop(); i++ {
				buf = g.Append(buf[:0], uint64(i), 1_763_000_000_123_456_789)
			}
		})
	}
}
