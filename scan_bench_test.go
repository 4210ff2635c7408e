package sluice_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// BenchmarkScan compares the scanner with general validators, which neither read
// an envelope nor remove white space, on the same events of 1 KB.
func BenchmarkScan(b *testing.B) {
	for _, producer := range []string{"gitlab", "github"} {
		compact, err := os.ReadFile("testdata/bench_" + producer + ".json")
		if err != nil {
			b.Fatal(err)
		}
		compact = bytes.TrimSpace(compact)
		var indented bytes.Buffer
		if err := json.Indent(&indented, compact, "", "  "); err != nil {
			b.Fatal(err)
		}
		benchmarkScan(b, producer+"/compact", compact)
		benchmarkScan(b, producer+"/indented", indented.Bytes())
	}
	var many strings.Builder
	many.WriteString(`{"id":1,"event_type":"t","entity_path":"acme"`)
	for i := range 200_000 {
		fmt.Fprintf(&many, `,"%d":0`, i)
	}
	many.WriteString("}")
	s := newScanner()
	s.MaxEvent = many.Len()
	src := []byte(many.String())
	b.Run("200000keys", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		for b.Loop() {
			if _, _, _, err := s.Scan(nil, src); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchmarkScan(b *testing.B, name string, src []byte) {
	b.Run(name+"/scan", func(b *testing.B) {
		s := newScanner()
		s.TopLevel = "acme"
		dst := make([]byte, 0, 2*len(src))
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			if _, _, _, err := s.Scan(dst, src); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, validator := range []struct {
		name  string
		valid func([]byte) bool
	}{
		{"json.Valid", json.Valid},
		{"jsontext", func(src []byte) bool { return jsontext.Value(src).IsValid() }},
	} {
		b.Run(name+"/"+validator.name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if !validator.valid(src) {
					b.Fatal("got an invalid event, want a valid one")
				}
			}
		})
	}
}
