package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/destination"
)

// TestApplyRandom: from any configuration to any other, and then there is nothing
// left to do, however the values are written.
func TestApplyRandom(t *testing.T) {
	a := newApplied(t)
	r := rand.New(rand.NewPCG(4711, 815))
	for i := range 40 {
		var text strings.Builder
		fmt.Fprintf(&text, "version: 1\nnamespace: acme\nstreams:\n")
		for _, k := range kinds() {
			d, ok := k.(destination.Described)
			if !ok {
				t.Fatalf("kind %s: got no form", k.Name())
			}
			stream, err := json.Marshal(randomStream(r, k.Name(), d.Form()))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&text, "  - %s\n", stream) // JSON is YAML, too
		}
		a.write("random.yaml", text.String())
		if got := a.apply("random.yaml"); got.code != exitOK || !strings.Contains(got.stdout, "the server is as the files say") {
			t.Fatalf("%d: got %+v\n%s", i, got, text.String())
		}
		a.want(exitOK, nothingToDo, "", "random.yaml")
	}
}

func randomStream(r *rand.Rand, kind string, form destination.Form) map[string]any {
	config, secrets := map[string]any{}, map[string]any{}
	for _, in := range form.Inputs {
		if name, ok := strings.CutPrefix(in.Name, "config."); ok && (in.Required || r.IntN(3) > 0 || in.Administrators || name == "endpoint") {
			config[name] = randomValue(r, in)
		}
	}
	for _, in := range form.Inputs {
		name, _ := strings.CutPrefix(in.When, "config.")
		if other, value, ok := strings.Cut(name, "="); ok && config[other] != nil && config[other] != value {
			delete(config, strings.TrimPrefix(in.Name, "config."))
		}
	}
	for kindOf, secret := range map[string][2]string{"splunk": {"token", "HEC_TOKEN"}, "eventhubs": {"connection_string", "HUB"}, "s3": {"secret_access_key", "S3_KEY"}, "http": {"signing_secret", "WEB_SIGNING"}} {
		if kindOf == kind {
			secrets[secret[0]] = map[string]string{"env": secret[1]}
		}
	}
	if kind == "cloudlogging" {
		secrets["private_key"] = map[string]string{"file": "key.json"}
		delete(config, "client_email") // the key file's
	}
	types := []string{"a", "b", "c", "d"}
	r.Shuffle(len(types), func(i, j int) { types[i], types[j] = types[j], types[i] })
	s := map[string]any{
		"name": kind, "kind": kind, "config": config, "secrets": secrets, "strict": r.IntN(2) == 0, "active": r.IntN(2) == 0,
		"filter": map[string]any{"event_types": types[:r.IntN(3)], "excluded_event_types": types[3:], "namespaces": []string{"acme/x", "Acme/Y"}[:r.IntN(3)]},
	}
	if r.IntN(2) == 0 {
		s["until"] = fmt.Sprintf("20%d-01-31T12:00:00.5+02:00", 80+r.IntN(10))
	}
	return s
}

func randomValue(r *rand.Rand, in destination.Input) any {
	blanks := []string{"", " ", "\t"}[r.IntN(3)]
	switch in.Type {
	case destination.InputNumber:
		return in.Min + r.IntN(in.Max-in.Min+1)
	case destination.InputCheckbox:
		return r.IntN(2) == 0
	case destination.InputChoice:
		return in.Options[r.IntN(len(in.Options))].Value
	case destination.InputList:
		var out []any
		for _, name := range []string{"X-A", "x-b", "X-C"}[:r.IntN(4)] {
			row := map[string]any{"name": []string{name, strings.ToUpper(name)}[r.IntN(2)], "value": "a: b" + strings.TrimSuffix(blanks, "\t") + "c"}
			if r.IntN(2) == 0 {
				row["active"] = r.IntN(2) == 0
			}
			out = append(out, row)
		}
		r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		if out == nil {
			return []any{}
		}
		return out
	}
	switch in.Name {
	case "config.url", "config.endpoint", "config.token_url":
		return blanks + "http://127.0.0.1:" + fmt.Sprint(1+r.IntN(3)) + []string{"", "/"}[r.IntN(2)]
	case "config.domain":
		return []string{"127.0.0.1", "[::1]", "::1"}[r.IntN(3)] + blanks
	case "config.prefix":
		return []string{"audit", "/audit/", "audit/acme/", ""}[r.IntN(4)]
	}
	return blanks + in.Example + blanks
}
