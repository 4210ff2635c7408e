package rest_test

import (
	"testing"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/destination/webhook"
)

func TestKinds(t *testing.T) {
	simulate(t, func(c *control.Config) { c.Kinds = append(c.Kinds, webhook.Kind{}) }, func(t *testing.T, c *client) {
		token := c.want(201, "POST", "/api/v1/tokens", `{"kind":"producer","namespace":"acme","name":"ci"}`)["token"].(string)
		for _, c.token = range []string{c.token, token} { // whoever has a token may know them
			list := c.want(200, "GET", "/api/v1/kinds", "")["kinds"].([]any)
			if len(list) != 2 {
				t.Fatalf("kinds: got %d, want 2", len(list))
			}
			plain, http := list[0].(map[string]any), list[1].(map[string]any)
			if plain["name"] != "memory" || plain["title"] != "memory" || len(plain["fields"].([]any)) != 0 || len(plain["notes"].([]any)) != 0 {
				t.Errorf("a kind without a description: got %v", plain)
			}
			url := http["fields"].([]any)[0].(map[string]any)
			if http["title"] != "HTTP endpoint" || url["name"] != "config.url" || url["label"] != "Destination URL" || url["required"] != true || url["type"] != "text" {
				t.Errorf("http: got %v", http)
			}
		}
		c.token = ""
		c.wantProblem(401, "unauthorized", "GET", "/api/v1/kinds", "")
		c.token = token
		c.wantProblem(405, "method_not_allowed", "POST", "/api/v1/kinds", "{}")
	})
}
