//go:build torture

package five

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/mutant"
)

// TestSurfacesFindALeak plays with a server that shows a header's value in a page
// and in its metrics, and auditors what is for owners.
func TestSurfacesFindALeak(t *testing.T) {
	binary := mutant.Broken(t, []mutant.Edit{
		{File: "web/history.go", Old: "Title: titleOf(&st),", New: "Title: titleOf(&st) + string(st.Config),"},
		{File: "rest/metrics_stream.go", Old: "Events of a stream that are pending.", New: "Events of a stream that are pending: " + headerValue},
		{File: "control/view.go", Old: "	s.VerificationToken = \"\"\n", New: ""},
		{File: "control/mask.go", Old: "			header[\"value\"] = masked\n", New: "			_ = header\n"},
	})
	w := &world{streams: map[string]sluice.StreamID{}, book: newBook(nil), server: drill.NewServer(t, binary)}
	w.receivers = []*receiver{webhooks(t, w.book)}
	w.server.Start()
	w.configure(t)
	found, _ := w.judgeSurfaces(t, []string{verificationToken, headerValue})
	stream := fmt.Sprintf("streams/%d", w.streams[kindHTTP])
	for _, where := range []string{
		"GET /metrics, for the administrator: it holds the secret that begins with \"five-hea\"",
		"GET /-/groups/acme/" + stream + ", for the five-owner: it holds the secret that begins with \"five-hea\"",
		"GET /api/v1/" + stream + ", for the five-auditor: it holds the secret that begins with \"five-ver\"",
		"GET /api/v1/" + stream + ", for the five-auditor: it holds the secret that begins with \"five-hea\"",
	} {
		if !slices.Contains(found, where) {
			t.Errorf("not found out: %s\nfound: %s", where, strings.Join(found, "\n"))
		}
	}
}
