package cloudlogging

import (
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// FuzzCheck reads configurations that are anything at all.
func FuzzCheck(f *testing.F) {
	destinationtest.FuzzCheck(f, Kind{}, destination.Secrets{PrivateKey: testAccount().File()},
		`{"project_id":"acme-audit-1234","client_email":"a@b.example","log_id":"audit/acme"}`,
		`{"project_id":"acme-audit-1234","endpoint":"https://logs.example:8443/google/","token_url":"https://id.example/t"}`,
		`{"project_id":"acme-audit-1234","endpoint":"https://[::1]/ /"}`,
		`{"private_key":"x"}`,
	)
}
