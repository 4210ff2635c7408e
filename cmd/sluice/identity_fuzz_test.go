package main

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

// FuzzIdentity starts on records of the log's identity and of its end that are
// anything at all: an error names the record, or a log of that identity goes on
// behind the end.
func FuzzIdentity(f *testing.F) {
	const id = `{"id":"0123456789abcdef0123456789abcdef"}`
	for _, v := range [][2]string{
		{id, `{"seq":7,"chain":"AAAA"}`}, {id, `{}`}, {id, `null`}, {id, `{"seq":-1}`}, {id, `{"seq":1,"chain":7}`}, {id, `[]`},
		{`{"id":"0123","earlier":["x"]}`, `{}`}, {`null`, `{}`}, {`{"id":7}`, `{}`},
		{`{"id":"0123456789abcdef0123456789abcdef","earlier":["00000000000000000000000000000000"],"restored":{"at":"2026-01-31T12:00:00Z","control":true}}`, `{"seq":1}`},
	} {
		f.Add([]byte(v[0]), []byte(v[1]))
	}
	f.Fuzz(func(t *testing.T, id, anchor []byte) {
		ctx, s, data := t.Context(), store.NewMemory(), t.TempDir()
		if errors.Join(s.Apply(ctx, store.Change{Key: identityKey, Value: id}, store.Change{Key: anchorPrefix + "audit", Value: anchor})...) != nil {
			return // no store takes them
		}
		v, err := logIdentity(ctx, s, data)
		if err != nil {
			if !strings.Contains(err.Error(), "identity") {
				t.Fatalf("identity %q: got %v, want an error that names it", id, err)
			}
			return
		}
		if again, err := logIdentity(ctx, s, data); err != nil || !reflect.DeepEqual(again, v) {
			t.Fatalf("identity %q: read again it is %+v (%v), want %+v", id, again, err, v)
		}
		of, _, err := v.ids()
		if err != nil {
			t.Fatalf("identity %q: got %v for what was taken", id, err)
		}
		found, _, err := anchors(ctx, s)
		if err != nil {
			if !strings.Contains(err.Error(), anchorPrefix) {
				t.Fatalf("anchor %q: got %v, want an error that names it", anchor, err)
			}
			return
		}
		goesOn(t, of, found)
	})
}

// goesOn opens an empty log with anchors: what it names as lost ends there, and
// nothing that it has is numbered so.
func goesOn(t *testing.T, id eventlog.LogID, anchors map[string]eventlog.Anchor) {
	t.Helper()
	log, err := eventlog.Open(t.Context(), eventlog.NewMemory(eventlog.MemoryOptions{Log: id}), eventlog.Options{ID: id, Anchors: anchors})
	if err != nil {
		return
	}
	defer log.Close()
	audit := string(sluice.Audit)
	if got, want := log.Last(audit), anchors[audit].Seq; got != want {
		t.Errorf("the log goes on behind %d, want %d", got, want)
	}
	if _, err := log.Block(t.Context(), audit, 1); !errors.Is(err, io.EOF) {
		t.Errorf("the first block of an empty log: got %v, want none", err)
	}
}
