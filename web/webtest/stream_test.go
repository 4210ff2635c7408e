package webtest_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
	"github.com/sluicelog/sluice/destination/s3/s3test"
	"github.com/sluicelog/sluice/destination/splunk/splunktest"
	"github.com/sluicelog/sluice/web/webtest"
)

// logStreaming goes to the tab Log streaming, as both products' instructions say.
func (p *person) logStreaming(enterprise string) {
	p.t.Helper()
	p.goTo(enterprise)
	p.tabs().Follow("link", p.words.LogStreaming)
	p.WantPath("/-/groups/" + enterprise + "/log-streaming")
}

// configure begins a stream to a kind of destination.
func (p *person) configure(enterprise, kind string) {
	p.t.Helper()
	p.logStreaming(enterprise)
	p.Follow("link", p.words.ConfigureStream)
	p.Follow("link", kind)
}

// checkAndSave does the last steps of each kind.
func (p *person) checkAndSave() {
	p.t.Helper()
	p.Follow("button", p.words.CheckEndpoint)
	p.Want("The check passed")
	p.Follow("button", p.words.Save)
}

// row is the stream with a name on the tab Log streaming, expanded.
func (p *person) row(name string) *webtest.Part {
	p.t.Helper()
	row := p.In("details.stream", name)
	row.Open()
	return row
}

// deleteStream deletes a stream and confirms it.
func (p *person) deleteStream(name string) {
	p.t.Helper()
	p.row(name).Follow("link", p.words.DeleteStream)
	p.Want(name)
	p.Follow("button", p.words.DeleteStream) // to confirm
	p.In("main", "").WantNot(name)
}

// arrives waits until a destination has an event with the type.
func (w *world) arrives(enterprise, eventType string, count func() int) {
	w.t.Helper()
	before := count()
	w.post(fmt.Sprintf(`{"event_type":%q,"entity_path":"%s/web","author_name":"jane"}`, eventType, enterprise))
	until(w.t, "the destination to get "+eventType, func() bool { return count() > before })
}

// toSplunk is "Setting up streaming to Splunk", "Pausing audit log streaming" and
// "Deleting the audit log stream".
func toSplunk(t *testing.T, w *world) {
	splunk := splunktest.Start(splunktest.Options{})
	defer splunk.Close()
	const wrong = "00000000-0000-0000-0000-000000000000"
	w.hide(splunktest.Token, wrong)
	p := w.signedIn(t, "jane")
	p.configure("initech", p.words.Splunk)
	p.Fill(p.words.Name, "siem", p.words.Domain, "127.0.0.1", p.words.Port, fmt.Sprint(splunk.Port()), p.words.Token, wrong)
	if !p.Checked(p.words.SSL) {
		t.Errorf("%s: got that it is not selected, want it to be", p.words.SSL)
	}
	p.Follow("button", p.words.CheckEndpoint)
	p.In("section", "The check failed").Want("token")
	p.Look("stream-check-failed")
	if got := p.Value(p.words.Domain); got != "127.0.0.1" {
		t.Errorf("%s: got %q after the check, want what was entered", p.words.Domain, got)
	}
	p.Click("summary", "Add a new token")
	p.Fill(p.words.Token, splunktest.Token)
	p.checkAndSave()
	w.arrives("initech", "splunk_1", func() int { return len(splunk.Events()) })

	p.row("siem").Follow("link", p.words.PauseStream)
	p.Follow("button", p.words.PauseStream) // to confirm
	p.In("summary", "siem").Want("Paused")
	p.row("siem").Follow("button", p.words.ResumeStream)
	p.In("summary", "siem").Want("Active")
	w.arrives("initech", "splunk_2", func() int { return len(splunk.Events()) })

	p.deleteStream("siem")
	p.Want("Streaming is off for initech", p.words.ConfigureStream)
}

// toEventHubs is "Setting up streaming to Azure Event Hubs", over TLS.
func toEventHubs(t *testing.T, w *world) {
	broker, err := eventhubstest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	listener, err := broker.Listen(eventhubstest.ListenOptions{Certificate: w.certificate, Key: w.key})
	if err != nil {
		t.Fatal(err)
	}
	w.hide(eventhubstest.Key)
	p := w.signedIn(t, "jane")
	p.configure("acme", p.words.EventHubs)
	p.Fill(p.words.Name, "azure", "Name of the Azure Event Hubs instance", "auditlog", "Connection string",
		"Endpoint=sb://"+listener.Host()+"/;SharedAccessKeyName="+eventhubstest.KeyName+";SharedAccessKey="+eventhubstest.Key)
	p.Follow("button", p.words.CheckEndpoint)
	p.In("section", "The check passed").Want("TLS 1.")
	p.Follow("button", p.words.Save)
	w.arrives("acme", "azure_1", func() int { return broker.Count("auditlog") })
	p.logStreaming("acme")
	p.deleteStream("azure")
}

// toS3 is "Setting up streaming to Amazon S3", and to add, list, update and delete
// "AWS S3 destinations".
func toS3(t *testing.T, w *world) {
	store := s3test.Run(t)
	for _, bucket := range []string{"auditlog-streaming-test", "auditlog-moved"} {
		if err := store.MakeBucket(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	w.hide(store.Secret)
	p := w.signedIn(t, "jane")
	p.configure("acme", p.words.AmazonS3)
	p.Want("Block public access to the bucket to protect your audit log.")
	p.Fill(p.words.Name, "archive", p.words.BucketName, "auditlog-streaming-test", p.words.AccessKeyID, store.AccessKeyID, p.words.SecretAccessKey, store.Secret,
		p.words.Region, s3test.Region)
	p.more()
	p.Fill("Endpoint", store.URL)
	p.checkAndSave()

	row := p.row("archive")
	for name, want := range map[string]string{p.words.Name: "archive", p.words.BucketName: "auditlog-streaming-test", p.words.AccessKeyID: store.AccessKeyID, p.words.Region: s3test.Region} {
		if got := row.Value(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	row.Fill(p.words.Name, "archive of 2026", p.words.AccessKeyID, store.AccessKeyID, p.words.BucketName, "auditlog-moved", p.words.Region, s3test.Region)
	row.Click("summary", p.words.AddSecretKey)
	row.Fill(p.words.SecretAccessKey, store.Secret)
	row.Follow("button", p.words.CheckEndpoint)
	p.row("archive of 2026").Want("The check passed")
	p.row("archive of 2026").Follow("button", p.words.Save)
	if got := p.row("archive of 2026").Value(p.words.BucketName); got != "auditlog-moved" {
		t.Errorf("%s: got %q after it was changed", p.words.BucketName, got)
	}
	p.deleteStream("archive of 2026")
}

// more opens the fields that are less often needed.
func (p *person) more() {
	p.t.Helper()
	p.Click("summary", "More settings")
}

// toCloudLogging is to add, list, update and delete "Google Cloud Logging
// destinations". An administrator does it: only they may name a Google that is not
// Google's, and change such a stream.
func toCloudLogging(t *testing.T, w *world) {
	account, err := cloudloggingtest.NewAccount("my-project-123456")
	if err != nil {
		t.Fatal(err)
	}
	google := cloudloggingtest.New(account.Config())
	server := httptest.NewServer(google)
	defer server.Close()
	w.hide("PRIVATE KEY")
	p := w.signedIn(t, "mona")
	p.configure("acme", p.words.CloudLogging)
	p.Fill(p.words.Name, "google", p.words.GoogleProject, account.Project, p.words.GoogleEmail, account.Email, p.words.GoogleKey, account.PEM(),
		p.words.LogID, "audit")
	p.more()
	p.Fill("Endpoint", server.URL, "Token URL", server.URL+cloudloggingtest.TokenPath)
	p.checkAndSave()
	w.arrives("acme", "google_1", func() int { return len(google.Entries()) })

	p.logStreaming("acme")
	row := p.row("google")
	for name, want := range map[string]string{p.words.Name: "google", p.words.GoogleProject: account.Project, p.words.GoogleEmail: account.Email, p.words.LogID: "audit"} {
		if got := row.Value(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	row.Fill(p.words.Name, "google two", p.words.GoogleProject, account.Project, p.words.GoogleEmail, account.Email, p.words.LogID, "audit-two")
	row.Click("summary", p.words.AddPrivateKey)
	row.Fill(p.words.GoogleKey, account.PEM())
	row.Follow("button", p.words.Save)
	w.arrives("acme", "google_2", func() int { return len(google.Entries()) })
	p.deleteStream("google two")
}
