package github_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	client "github.com/google/go-github/v89/github"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/store"
)

// A collector that becomes a Splunk stream has Splunk's path: otherwise its events
// would go on to the path that is not asked for any more.
func TestCollectorBecomesSplunk(t *testing.T) {
	simulate(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.fill()
		api := w.client(w.AdminToken).Enterprise
		key, _, err := api.GetAuditLogStreamKey(ctx, "acme")
		if err != nil {
			t.Error(err)
			return
		}
		collector := client.NewHecStreamConfig(true, &client.HecConfig{Domain: "hec.example.com", Port: 443, KeyID: key.KeyID, EncryptedToken: sealFor(t, key.Key, "f3a2"), Path: "/own", SSLVerify: true})
		splunk := client.NewSplunkStreamConfig(true, &client.SplunkConfig{Domain: "hec.example.com", Port: 443, KeyID: key.KeyID, EncryptedToken: sealFor(t, key.Key, "f3a2"), SSLVerify: true})
		made, _, err := api.CreateAuditLogStream(ctx, "acme", *collector)
		if err != nil {
			t.Error(err)
			return
		}
		for _, change := range []struct {
			to   *client.AuditLogStreamConfig
			path string
		}{{splunk, "/services/collector/event"}, {collector, "/own"}} {
			got, _, err := api.UpdateAuditLogStream(ctx, "acme", made.ID, *change.to)
			if err != nil || got.StreamType != change.to.StreamType {
				t.Errorf("to %s: got %+v and error %v", change.to.StreamType, got, err)
			}
			list, err := w.Service.Streams(ctx, w.Admin, nil)
			var config struct{ Path string }
			if err != nil || len(list) != 1 || json.Unmarshal(list[0].Config, &config) != nil || config.Path != change.path {
				t.Errorf("to %s: got streams %+v and error %v, want the path %s", change.to.StreamType, list, err, change.path)
			}
		}
	})
}

// What is told of an address is its host, with or without a path behind it.
func TestDetailsOfAddresses(t *testing.T) {
	simulate(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		for _, address := range []string{"https://siem.example?key=hidden", "https://siem.example/in?key=hidden", "https://siem.example"} {
			config, err := json.Marshal(map[string]string{"url": address})
			if err == nil {
				_, err = w.Service.CreateStream(ctx, w.Admin, control.StreamSpec{Namespace: "acme", Kind: "http", Config: config})
			}
			if err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
		list, _, err := w.client(w.AdminToken).Enterprise.ListAuditLogStreams(ctx, "acme")
		if err != nil || len(list) != 3 {
			t.Errorf("got %d streams and error %v, want 3", len(list), err)
		}
		for _, s := range list {
			if s.StreamDetails != "siem.example" {
				t.Errorf("stream %d: got details %q, want the host", s.ID, s.StreamDetails)
			}
		}
	})
}

// A full disk is told as such, and as none of the server's faults.
func TestNoSpace(t *testing.T) {
	simulate(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		made, err := w.Service.CreateStream(ctx, w.Admin, control.StreamSpec{Namespace: "acme", Kind: "http", Config: json.RawMessage(`{"url":"https://siem.example"}`)})
		if err != nil {
			t.Error(err)
			return
		}
		w.Store.SetBefore(func(store.Change) error { return store.ErrFull })
		_, err = w.client(w.AdminToken).Enterprise.DeleteAuditLogStream(ctx, "acme", int64(made.ID))
		w.Store.SetBefore(nil)
		e, ok := errors.AsType[*client.ErrorResponse](err)
		if !ok || e.Response.StatusCode != http.StatusInsufficientStorage || !strings.Contains(e.Message, "no space left") || strings.Contains(w.Logs(), `"request failed"`) {
			t.Errorf("got error %v and the log %s, want one about the disk", err, w.Logs())
		}
	})
}
