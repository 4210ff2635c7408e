package webtest_test

import (
	"testing"
)

// TestPages goes through the pages as people do, in one browser and with one
// server as it is shipped.
func TestPages(t *testing.T) {
	w := newWorld(t)
	t.Cleanup(func() { t.Logf("what the pages cost:\n%s", w.chrome.Report(t)) })
	for _, c := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"sign in and out", signInAndOut},
		{"the menu", menu},
		{"change password", changePassword},
		{"personal access tokens", personalTokens},
		{"tokens without scripts", plainTokens},
		{"another site", anotherSite},
		{"members", members},
		{"tokens of producers", producers},
		{"users", users},
		{"audit log", auditLog},
		{"counts that come later", countedLater},
		{"export", exports},
		{"live events", follows},
		{"Splunk, pause, resume, delete", toSplunk},
		{"Azure Event Hubs", toEventHubs},
		{"Amazon S3", toS3},
		{"Google Cloud Logging", toCloudLogging},
		{"HTTP endpoint", toHTTP},
		{"filters", filters},
		{"with the keyboard alone", keyboard},
		{"history, quarantine, replay", history},
		{"system", system},
		{"without scripts", withoutScripts},
		{"two tenants", tenants},
		{"an auditor", auditors},
		{"the installation", installation},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, w.within(t)) })
	}
}
