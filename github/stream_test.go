package github_test

import (
	"encoding/json"
	"testing"

	client "github.com/google/go-github/v89/github"

	"github.com/sluicelog/sluice/control"
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
