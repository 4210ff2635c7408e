package control

import (
	"encoding/json"
	"testing"

	"github.com/sluicelog/sluice/destination"
)

// formKind has a field that goes with one value of another.
type formKind struct{ destination.Kind }

func (formKind) Form() destination.Form {
	return destination.Form{Inputs: []destination.Input{
		{Name: "config.format", Type: destination.InputChoice, Default: "event"},
		{Name: "config.concurrency", Type: destination.InputNumber, Default: 16, When: "config.format=event"},
		{Name: "config.ssl_verify", Type: destination.InputCheckbox, Default: true},
	}}
}

func TestMergeConfig(t *testing.T) {
	for name, c := range map[string]struct{ config, sent, want string }{
		"another format":    {`{"format":"event","concurrency":16,"ssl_verify":true}`, `{"format":"array"}`, `{"format":"array","ssl_verify":true}`},
		"nothing about it":  {`{"format":"event","concurrency":16}`, `{"ssl_verify":false}`, `{"concurrency":16,"format":"event","ssl_verify":false}`},
		"a chosen one":      {`{"format":"event","concurrency":4}`, `{"format":"array"}`, `{"format":"array"}`},
		"sent along":        {`{"format":"event","concurrency":16}`, `{"format":"array","concurrency":16}`, `{"concurrency":16,"format":"array"}`},
		"removed":           {`{"format":"event","concurrency":16}`, `{"concurrency":null}`, `{"format":"event"}`},
		"back":              {`{"format":"array"}`, `{"format":"event"}`, `{"format":"event"}`},
		"format to default": {`{"format":"event","concurrency":16}`, `{"format":null}`, `{"concurrency":16}`},
	} {
		got, err := mergeConfig(formKind{}, json.RawMessage(c.config), json.RawMessage(c.sent))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, c.want)
		}
	}
}
