package rest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Administrators make people; owners manage members; everybody has tokens.
func TestPeople(t *testing.T) {
	simulate(t, nil, func(t *testing.T, c *client) {
		admin := c.token
		jane := c.want(201, "POST", "/api/v1/users", `{"name":"jane","password":"correct horse battery"}`)
		if jane["id"] != "u1" || jane["password"] != nil {
			t.Errorf("got %v, want user u1 without a password", jane)
		}
		if joe := c.want(201, "POST", "/api/v1/users", `{"name":"joe"}`); len(joe["password"].(string)) != 20 {
			t.Errorf("got %v, want a password that was made", joe)
		}
		c.wantProblem(409, "conflict", "POST", "/api/v1/users", `{"name":"Joe"}`)
		c.wantProblem(400, "invalid", "POST", "/api/v1/users", `{"name":"ann","password":"short"}`)
		c.want(200, "POST", "/api/v1/members", `{"namespace":"acme","user":"jane","role":"owner"}`)
		c.wantProblem(400, "invalid", "POST", "/api/v1/members", `{"namespace":"acme","user":"jane","role":"king"}`)
		made := c.want(201, "POST", "/api/v1/tokens", `{"kind":"personal","user":"u1","scopes":["api"],"name":"laptop"}`)
		c.token, _ = made["token"].(string)
		me := c.want(200, "GET", "/api/v1/me", "")
		if me["name"] != "jane" || me["roles"].(map[string]any)["acme"] != "owner" || me["token"] != made["id"] {
			t.Errorf("got %v, want jane, an owner of acme", me)
		}
		c.want(201, "POST", "/api/v1/streams", stream)
		c.want(200, "POST", "/api/v1/members", `{"namespace":"ACME","user":"joe","role":"auditor"}`)
		if list := c.want(200, "GET", "/api/v1/members?namespace=acme", "")["members"].([]any); len(list) != 2 {
			t.Errorf("got %v, want two members", list)
		}
		c.want(200, "DELETE", "/api/v1/members?namespace=acme&user=joe", "")
		c.wantProblem(404, "not_found", "DELETE", "/api/v1/members?namespace=acme&user=joe", "")
		c.wantProblem(400, "invalid", "DELETE", "/api/v1/members?namespace=acme", "")
		c.wantProblem(404, "not_found", "GET", "/api/v1/members?namespace=umbra", "")
		c.wantProblem(403, "forbidden", "GET", "/api/v1/users", "")
		end := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		if e := c.wantProblem(400, "invalid", "POST", "/api/v1/tokens", `{"kind":"personal","scopes":["api"],"expires_at":"tomorrow"}`); e["message"] != "a time cannot be read" {
			t.Errorf("got %v, want that the time is wrong", e)
		}
		own := c.want(201, "POST", "/api/v1/tokens", `{"kind":"personal","scopes":["read_api"],"expires_at":"`+end+`"}`)
		if own["user"] != "u1" || own["expires_at"] != end {
			t.Errorf("got %v, want a token of u1 until %s", own, end)
		}
		if list := c.want(200, "GET", "/api/v1/tokens", "")["tokens"].([]any); len(list) != 2 {
			t.Errorf("got %v, want both tokens of jane", list)
		}
		c.token = admin
		if u := c.want(200, "PATCH", "/api/v1/users/jane", `{"disabled":true}`); u["disabled"] != true {
			t.Errorf("got %v, want a disabled user", u)
		}
		c.token, _ = own["token"].(string)
		c.wantProblem(401, "unauthorized", "GET", "/api/v1/me", "")
		c.token = admin
		if me := c.want(200, "GET", "/api/v1/me", ""); me["kind"] != "admin" || me["administrator"] != true {
			t.Errorf("got %v, want the administrator's token", me)
		}
		c.wantProblem(404, "not_found", "GET", "/api/v1/users/u9", "")
		synctest.Wait()
		if logs := c.Logs(); strings.Contains(logs, "correct horse") || strings.Contains(logs, own["token"].(string)) {
			t.Error("a secret was logged")
		}
	})
}
