package control

import (
	"encoding/json"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
)

// A record that is kept says what it said, and the one that it was made of is not
// touched.
func TestKeptRecord(t *testing.T) {
	r := &streamRecord{
		ID: 7, Namespace: "Acme", Name: "siem", Kind: "http", Config: json.RawMessage(`{"url":"https://siem.example.com"}`),
		Sealed: fields[string]{{"headers", "one"}, {"secrets.verification_token", ""}, {"secrets.signing_secret", "three"}},
		Filter: sluice.Filter{EventTypes: []string{"a.b"}, Namespaces: []string{"acme/x"}},
		Start:  fields[deliver.Start]{{"audit", deliver.Start{Seq: 3, Total: 2}}, {"git", deliver.Start{}}}, StartAs: "now",
		Verification: "digest", Copied: "other", Numbers: numbers{Namespaces: []int64{1}, Last: 1},
	}
	before, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	st := newStream(r)
	kept := st.record()
	if after, err := json.Marshal(kept); err != nil || string(after) != string(before) {
		t.Errorf("kept: got %s (%v), want %s", after, err, before)
	}
	kept.Sealed.set("headers", "changed")
	kept.Start.set("audit", deliver.Start{})
	if again, err := json.Marshal(r); err != nil || string(again) != string(before) {
		t.Errorf("what it was made of: got %s (%v), want %s", again, err, before)
	}
}
