package rest_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/destination"
)

func TestHealthAttemptsAndCounts(t *testing.T) {
	simulate(t, func(c *control.Config) { c.EgressAddresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")} }, func(t *testing.T, c *client) {
		c.want(201, "POST", "/api/v1/streams", stream)
		c.Post("acme/web", "git.push", 3)
		synctest.Wait()
		c.Kind.Refuse(&destination.Error{Class: destination.Misconfigured, Status: 401, Message: "token expired"})
		c.Post("acme/web", "git.push", 1)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		health := c.want(200, "GET", "/api/v1/streams/1", "")["health"].(map[string]any)
		if health["state"] != "held" || health["since"] == nil || health["last_success"] == nil || health["next_retry"] == nil || health["lag_events"] != 1.0 ||
			health["last_error"].(map[string]any)["class"] != "misconfigured" || health["last_check"].(map[string]any)["failed_stage"] != "accept" {
			t.Errorf("health: got %v", health)
		}
		attempts := c.want(200, "GET", "/api/v1/streams/1/attempts?limit=2", "")["attempts"].([]any)
		if a := attempts[0].(map[string]any); len(attempts) != 2 || a["outcome"] != "misconfigured" || a["message"] != "token expired" || a["events"] != 1.0 || a["partition"] != "git" {
			t.Errorf("attempts: got %v", attempts)
		}
		sum := 0.0
		for _, m := range c.want(200, "GET", "/api/v1/streams/1/activity", "")["minutes"].([]any) {
			sum += m.(map[string]any)["delivered"].(float64)
		}
		if sum != 3 {
			t.Errorf("activity: got %v delivered, want 3", sum)
		}
		lag := c.want(200, "GET", "/api/v1/streams/1/lag?hours=1", "")["samples"].([]any)
		if s := lag[len(lag)-1].(map[string]any); len(lag) != 1 || s["lag_events"] != 1.0 || s["lag_seconds"].(float64) < 60 {
			t.Errorf("lag: got %v, want one event that has waited for more than a minute", lag)
		}
		hours := c.want(200, "GET", "/api/v1/counts?namespace=acme&hours=2", "")["hours"].([]any)
		if types := hours[len(hours)-1].(map[string]any)["types"].(map[string]any); types["git.push"] != 4.0 {
			t.Errorf("counts: got %v", hours)
		}
		hours = c.want(200, "GET", "/api/v1/counts?namespace=acme/web&by=namespace", "")["hours"].([]any)
		if got := hours[0].(map[string]any)["namespaces"]; fmt.Sprint(got) != "map[acme/web:4]" {
			t.Errorf("counts by namespace: got %v", hours)
		}
		info := c.want(200, "GET", "/api/v1/info", "")
		if fmt.Sprint(info["egress_addresses"]) != "[192.0.2.0/28]" || info["version"] != "1.2.3" || fmt.Sprint(info["notices"]) != "[email http]" ||
			fmt.Sprint(info["kinds"]) != "[map[name:memory secrets:[verification_token signing_secret password]]]" {
			t.Errorf("info: got %v", info)
		}
		if out := c.want(200, "POST", "/api/v1/streams/1/check", ""); fmt.Sprint(out["egress_addresses"]) != "[192.0.2.0/28]" || out["ok"] != false {
			t.Errorf("check: got %v", out)
		}
		for _, path := range []string{"/api/v1/streams/1/attempts?limit=0", "/api/v1/streams/1/attempts?limit=201", "/api/v1/streams/1/activity?minutes=x", "/api/v1/streams/1/lag?hours=169", "/api/v1/streams/1/lag?minutes=1", "/api/v1/counts?namespace=acme&hours=169",
			"/api/v1/counts", "/api/v1/counts?namespace=acme/", "/api/v1/counts?namespace=acme&by=day", "/api/v1/counts?namespace=&by=namespace", "/api/v1/streams/1/attempts?size=1"} {
			c.wantProblem(400, "invalid", "GET", path, "")
		}
		c.wantProblem(404, "not_found", "GET", "/api/v1/streams/9/attempts", "")
	})
}

func TestNotices(t *testing.T) {
	simulate(t, nil, func(t *testing.T, c *client) {
		const path = "/api/v1/notices?namespace=acme"
		set := `{"addresses":[{"kind":"email","address":"jane@acme.example"},{"kind":"http","address":"https://hooks.example/1"}]}`
		if got := c.want(200, "PUT", path, set); len(got["addresses"].([]any)) != 2 || got["namespace"] != "acme" {
			t.Errorf("set: got %v", got)
		}
		if got := c.want(200, "GET", path, "")["addresses"].([]any); got[0].(map[string]any)["address"] != "jane@acme.example" {
			t.Errorf("got %v", got)
		}
		if got := c.want(200, "POST", "/api/v1/notices/test?namespace=acme", "")["results"].([]any); len(got) != 2 || got[0].(map[string]any)["ok"] != true {
			t.Errorf("test: got %v", got)
		}
		if got := c.want(200, "GET", "/api/v1/notices?namespace=", "")["addresses"].([]any); len(got) != 0 {
			t.Errorf("the instance's: got %v, want none", got)
		}
		c.wantProblem(400, "invalid", "PUT", path, `{"addresses":[{"kind":"email","address":"bad"}]}`)
		c.wantProblem(400, "invalid", "PUT", path, `{"adresses":[]}`)
		c.wantProblem(400, "invalid", "GET", "/api/v1/notices", "")
		c.wantProblem(405, "method_not_allowed", "DELETE", path, "")
		if got := c.want(200, "PUT", path, `{"addresses":[]}`)["addresses"].([]any); len(got) != 0 {
			t.Errorf("none: got %v", got)
		}
	})
}
