package web

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// FuzzEvent shows events that producers may have sent: what is shown of each is
// bounded and text, and its JSON is whole unless it says that it is cut.
func FuzzEvent(f *testing.F) {
	for _, text := range []string{
		`{"id":1,"event_type":"user.add","entity_path":"acme","author_name":"jane","details":{"custom_message":"added","target_details":"joe","ip_address":"192.0.2.1"}}`,
		`{"_document_id":"a","action":"repo.create","actor":["mona"],"actor_location":{"country_code":"DE"},"org":["web"],"@timestamp":1772500000000}`,
		`{"id":"a","details":[[1,{"a":[]}],"\u202e\u0000"],"user":{"name":7},"ip_address":["::1"]}`,
		`{"id":"a","message":"` + strings.Repeat("x", 300) + `"}`,
	} {
		f.Add([]byte(text), uint16(100))
	}
	f.Fuzz(func(t *testing.T, src []byte, limit uint16) {
		scanner := sluice.Scanner{NewID: func(dst []byte) []byte { return append(dst, "made"...) }}
		payload, env, _, err := scanner.Scan(nil, src)
		if err != nil {
			return // it would not be in the log
		}
		e := &control.FoundEvent{Event: payload, Partition: "audit", Seq: 1, Namespace: string(env.Namespace)}
		row := readEvent("/-/groups/acme", readLogQuery(url.Values{}), e, int(limit))
		for _, text := range []string{row.Actor, row.Words, row.Target, row.IP, row.Country, row.TypeShown(), row.PathShown()} {
			if !utf8.ValidString(text) || utf8.RuneCountInString(text) > rowText+1 || strings.ContainsAny(text, "\r\n\t\x00") {
				t.Errorf("%q: a part of it is shown as %q", payload, text)
			}
		}
		if !row.Cut && !json.Valid([]byte(row.JSON)) || row.Cut && len(row.JSON) > 12*int(limit)+1000 {
			t.Errorf("%q: cut is %v at %d, shown is %q", payload, row.Cut, limit, row.JSON)
		}
		for _, l := range row.Links {
			if _, err := url.Parse(l.Address); err != nil {
				t.Errorf("%q: %s leads to %q: %v", payload, l.Label, l.Address, err)
			}
		}
	})
}
