package eventlog

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestDocumentedBlock compares the example in the description of the format with
// the golden block: its dump, and the bytes that each row names.
func TestDocumentedBlock(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "block-v1-raw.bin"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join("..", "docs", "formats", "block.md"))
	if err != nil {
		t.Fatal(err)
	}
	var dump []byte
	rows := 0
	for line := range strings.Lines(string(doc)) {
		if len(line) > 50 && line[8] == ':' {
			b, err := hex.DecodeString(strings.ReplaceAll(line[10:50], " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			dump = append(dump, b...)
		}
		if !strings.HasPrefix(line, "| 0x") {
			continue
		}
		rows++
		cells := strings.Split(line, "|")
		at, err := strconv.ParseUint(strings.TrimSpace(cells[1]), 0, 16)
		if err != nil {
			t.Fatal(err)
		}
		got := documented(t, cells[2])
		if len(got) == 0 || !bytes.HasPrefix(want[at:], got) {
			t.Errorf("bytes at %#x: got %x, want %x", at, got, want[at:int(at)+len(got)])
		}
	}
	if !bytes.Equal(dump, want) {
		t.Error("dump: got other bytes than the golden block's")
	}
	equal(t, "rows", rows, 28)
}

// documented returns the bytes that a cell spells: in hexadecimal between
// backquotes, as they are elsewhere, up to three dots.
func documented(t *testing.T, cell string) []byte {
	var out []byte
	for i, part := range strings.Split(cell, "`") {
		part, _, cut := strings.Cut(strings.TrimSpace(part), "...")
		if i%2 == 0 {
			out = append(out, strings.ReplaceAll(part, " ", "")...)
		} else {
			b, err := hex.DecodeString(part)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b...)
		}
		if cut {
			break
		}
	}
	return out
}
