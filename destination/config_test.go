package destination

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
)

func TestReadFields(t *testing.T) {
	for raw, want := range map[string]string{
		``:                           "",
		`{}`:                         "",
		`{"a":null}`:                 "",
		`{"a":"x","b":3}`:            "",
		`{"A":"x"}`:                  `config has no field "A"`,
		`{"a":"x","a":"y"}`:          `config has the field "a" twice`,
		`{"c":1}`:                    `config has no field "c"`,
		`[]`:                         "config must be a JSON object",
		`null`:                       "config must be a JSON object",
		`{"a":`:                      "config is not valid JSON",
		`{"a":1}{"b":2}`:             "config is not valid JSON",
		`{"a":1}`:                    "config.a must be a string",
		`{"b":"3"}`:                  "config.b must be a whole number",
		`{"b":3.5}`:                  "config.b must be a whole number",
		`{"b":99999999999999999999}`: "config.b must be a whole number",
	} {
		var a string
		var b int
		f, err := ReadFields("config", json.RawMessage(raw), "a", "b")
		if err == nil {
			err = f.ReadAll(Member{"a", &a}, Member{"b", &b})
		}
		if want == "" {
			if err != nil {
				t.Errorf("%s: got %v, want nil", raw, err)
			}
			continue
		}
		e, ok := err.(*sluice.Error)
		if !ok || e.Code != sluice.Invalid || !strings.Contains(e.Message, want) {
			t.Errorf("%s: got %v, want invalid: %s", raw, err, want)
		}
	}
}
