package control

import (
	"maps"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
)

// action is something that a principal may be allowed to do in a namespace.
type action string

const (
	actionPost            action = "post events"
	actionReadEvents      action = "read events"
	actionReadStreams     action = "read streams"
	actionReadSecrets     action = "read verification tokens and header values"
	actionManageStreams   action = "change streams"
	actionReadTokens      action = "read tokens"
	actionManageTokens    action = "manage tokens"
	actionReadNamespaces  action = "read namespaces"
	actionManageNamespace action = "declare namespaces"
	actionManageNotices   action = "change notices"
	actionReadMembers     action = "read members"
	actionManageMembers   action = "manage members"
	actionReadSelf        action = "read its own account"
	actionManageSelf      action = "change its own account"
	actionOperate         action = "read metrics"
	actionManageKeys      action = "manage sealing keys"
	actionReadUsers       action = "read users"
	actionManageUsers     action = "manage users"
)

// scopes are a set of scopes of personal access tokens. The empty set cuts
// nothing: it is that of a session.
type scopes uint8

const (
	scopeAPI scopes = 1 << iota
	scopeReadAPI
	scopeReadAuditLog
	scopeAdminEnterprise

	reading  = scopeAPI | scopeReadAPI
	changing = scopeAPI
)

// scopeNames are the scopes of both products that mean something here.
var scopeNames = map[string]scopes{
	"api":              scopeAPI,
	"read_api":         scopeReadAPI,
	"read:audit_log":   scopeReadAuditLog,
	"admin:enterprise": scopeAdminEnterprise,
}

// rule says who may do something: an administrator always may, others as the
// rule says, in the namespaces where they are that.
type rule struct {
	owner, auditor, producer bool
	anyone                   bool // every user, concerning the own account
	// scopes are those of which a personal token needs one.
	scopes scopes
	// shown is what somebody may do who knows anyway that there is such a thing,
	// and is told that it may not be done. "": it looks like nothing.
	shown action
}

// access is the one table of who may do what.
var access = map[action]rule{
	actionPost:            {producer: true},
	actionReadEvents:      {owner: true, auditor: true, scopes: reading | scopeReadAuditLog | scopeAdminEnterprise},
	actionReadStreams:     {owner: true, auditor: true, scopes: reading | scopeAdminEnterprise},
	actionReadSecrets:     {owner: true, scopes: reading | scopeAdminEnterprise, shown: actionReadStreams},
	actionManageStreams:   {owner: true, scopes: changing | scopeAdminEnterprise, shown: actionReadStreams},
	actionReadTokens:      {owner: true, scopes: reading},
	actionManageTokens:    {owner: true, scopes: changing},
	actionReadNamespaces:  {owner: true, auditor: true, scopes: reading | scopeReadAuditLog | scopeAdminEnterprise},
	actionManageNamespace: {owner: true, scopes: changing, shown: actionReadNamespaces},
	actionManageNotices:   {owner: true, scopes: changing, shown: actionReadNamespaces},
	actionReadMembers:     {owner: true, scopes: reading, shown: actionReadNamespaces},
	actionManageMembers:   {owner: true, scopes: changing, shown: actionReadNamespaces},
	actionReadSelf:        {anyone: true, scopes: reading | scopeReadAuditLog | scopeAdminEnterprise},
	actionManageSelf:      {anyone: true, scopes: changing},
	actionOperate:         {scopes: reading},
	actionManageKeys:      {scopes: changing},
	actionReadUsers:       {scopes: reading},
	actionManageUsers:     {scopes: changing},
}

// may is the one place that decides who may do what. The namespace is folded;
// "" is the instance.
func may(p Principal, a action, namespace string) bool {
	r := access[a]
	switch p.Kind {
	case KindAdmin:
		return !r.anyone && sluice.Within(namespace, p.Namespace)
	case KindProducer:
		return r.producer && sluice.Within(namespace, p.Namespace)
	case KindUser:
		return p.left(r) && (p.account.administrator && !r.producer || r.anyone || r.allows(p.account.roles[sluice.TopLevel(namespace)]))
	}
	return false
}

// left reports whether the scopes of a user's token leave what r is about.
func (p Principal) left(r rule) bool {
	return p.account != nil && (p.scopes == 0 || p.scopes&r.scopes != 0)
}

func (r rule) allows(role Role) bool {
	return role == Owner && r.owner || role == Auditor && r.auditor
}

// maySomewhere reports whether there is a namespace where p may do a.
func maySomewhere(p Principal, a action) bool {
	if p.Kind != KindUser {
		return may(p, a, p.Namespace)
	}
	if may(p, a, sluice.Instance) {
		return true
	}
	if p.account != nil {
		for namespace := range p.account.roles {
			if may(p, a, namespace) {
				return true
			}
		}
	}
	return false
}

// authorize returns nil when p may do a in the namespace. One who may do it
// nowhere is told so; what others own looks to p like what does not exist.
func authorize(p Principal, a action, namespace string) error {
	if may(p, a, namespace) {
		return nil
	}
	if !maySomewhere(p, a) {
		return errForbidden(p, a)
	}
	if shown := access[a].shown; shown != "" && may(p, shown, namespace) {
		return errForbidden(p, a)
	}
	return errNotFound()
}

// authorizeSomewhere returns nil when there is a namespace where p may do a.
func authorizeSomewhere(p Principal, a action) error {
	if maySomewhere(p, a) {
		return nil
	}
	return errForbidden(p, a)
}

// errForbidden tells p that it may not do a, and whether the token or the role
// is the reason.
func errForbidden(p Principal, a action) *sluice.Error {
	switch {
	case p.Kind != KindUser:
		return sluice.Errorf(sluice.Forbidden, "this token may not %s", a).WithHint("use a personal access token of somebody who may, or an administrator's token")
	case !p.left(access[a]):
		return sluice.Errorf(sluice.Forbidden, "this token may not %s", a).
			WithHint("it needs one of the scopes: %s", strings.Join(access[a].scopes.list(), ", "))
	}
	return sluice.Errorf(sluice.Forbidden, "this account may not %s", a).WithHint("ask an owner or an administrator for the role that may")
}

// list names the scopes of the set in alphabetical order.
func (s scopes) list() []string {
	out := []string{}
	for _, name := range slices.Sorted(maps.Keys(scopeNames)) {
		if s&scopeNames[name] != 0 {
			out = append(out, name)
		}
	}
	return out
}

// scopesOf reads names of scopes, of which there must be one.
func scopesOf(names []string) (scopes, error) {
	var out scopes
	for _, name := range names {
		s, ok := scopeNames[name]
		if !ok {
			return 0, sluice.Errorf(sluice.Invalid, "scopes has an unknown scope").WithHint("the scopes are %s", strings.Join(scopes(0xff).list(), ", "))
		}
		out |= s
	}
	if out == 0 {
		return 0, sluice.Errorf(sluice.Invalid, "scopes must name what the token may do").WithHint("the scopes are %s", strings.Join(scopes(0xff).list(), ", "))
	}
	return out, nil
}

func errNotFound() *sluice.Error {
	return sluice.Errorf(sluice.NotFound, "there is no such thing here").
		WithHint("check the path and the id; it may have been deleted, or belong to somebody else")
}

// Operator returns nil when p may see figures of the whole installation.
func Operator(p Principal) error { return authorize(p, actionOperate, sluice.Instance) }
