package rest_test

import (
	"testing"
	"testing/synctest"
)

func TestSealingKeys(t *testing.T) {
	simulate(t, nil, func(t *testing.T, c *client) {
		c.want(201, "POST", "/api/v1/streams", stream)
		first := c.want(200, "GET", "/api/v1/secrets", "")["current"]
		if got := c.want(200, "POST", "/api/v1/secrets/rotate", ""); got["current"] == first || len(got["keys"].([]any)) != 2 {
			t.Errorf("rotated: got %v, want another current key beside %v", got, first)
		}
		synctest.Wait()
		if got := c.want(200, "POST", "/api/v1/secrets/prune", ""); got["pending"] != 0.0 || len(got["keys"].([]any)) != 1 {
			t.Errorf("pruned: got %v, want the current key alone", got)
		}
		made := c.want(201, "POST", "/api/v1/tokens", `{"kind":"producer","namespace":"acme","name":"ci"}`)
		c.token, _ = made["token"].(string)
		for _, call := range [][2]string{{"GET", "/api/v1/secrets"}, {"POST", "/api/v1/secrets/rotate"}, {"POST", "/api/v1/secrets/prune"}} {
			c.wantProblem(403, "forbidden", call[0], call[1], "")
		}
	})
}
