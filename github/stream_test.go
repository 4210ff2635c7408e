package github_test

import (
	"encoding/json"
	"testing"

	client "github.com/google/go-github/v89/github"
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
