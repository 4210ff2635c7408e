package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/segment"
)

// A log knows to which server it belongs, also in a folder whose name is a pattern,
// and behind a newest segment of which nothing can be told.
func TestRefuseForeign(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data[1")
	own, other := newLogID(), newLogID()
	engine, err := segment.Open(filepath.Join(data, logFolder), segment.Options{Log: own})
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(t.Context(), engine, eventlog.Options{ID: own})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- log.Run(ctx) }()
	batch := new(eventlog.Batch)
	batch.Add([]byte(`{"id":"1"}`), &sluice.Envelope{ID: []byte("1"), Type: []byte("user.add"), Namespace: []byte("acme")}, "test")
	if _, err := log.Append(t.Context(), map[string]*eventlog.Batch{string(sluice.Audit): batch}); err != nil {
		t.Fatal(err)
	}
	end()
	if err := errors.Join(<-ran, log.Close()); err != nil {
		t.Fatal(err)
	}
	for _, newest := range []string{"", "99999999999999999999.seg"} {
		if newest != "" {
			found, err := os.ReadDir(filepath.Join(data, logFolder))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range found {
				if p.IsDir() {
					if err := os.WriteFile(filepath.Join(data, logFolder, p.Name(), newest), make([]byte, 4096), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		for _, v := range []identity{{ID: own.String()}, {ID: other.String(), Earlier: []string{own.String()}}} {
			if err := refuseForeign(data, v); err != nil {
				t.Errorf("its own control state: got error %v", err)
			}
		}
		if err := refuseForeign(data, identity{ID: other.String()}); !errors.Is(err, errForeign) {
			t.Errorf("that of another server: got error %v, want %v", err, errForeign)
		}
	}
}
