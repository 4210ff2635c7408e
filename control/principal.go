package control

import (
	"time"

	"github.com/sluicelog/sluice"
)

// Kinds of principals.
const (
	KindAdmin    = "admin"    // may do everything in its namespace
	KindProducer = "producer" // may post events
	KindUser     = "user"     // may do what its roles allow
)

// Role is what a user is in a top-level namespace.
type Role string

const (
	Owner   Role = "owner"   // manages streams, tokens and members, reads the log
	Auditor Role = "auditor" // reads the log, and streams without their secrets
)

// Principal is who makes a request, as the token or session says. It holds for
// that request: the next one may find other rights.
type Principal struct {
	ID   string // of the token or the user; the author of what the principal does
	Kind string // KindAdmin, KindProducer or KindUser
	// Namespace is the top-level namespace the principal is bound to, folded;
	// "" is the instance: all of them. For a user it is the namespace that is
	// meant when none is named: the only one with a role, else "".
	Namespace string
	Name      string
	// Credential is the id of a user's token; "" with a session.
	Credential string
	number     int64     // of the user, below zero of a token; 0 for Sluice itself
	account    *account  // of a user
	scopes     scopes    // what a user's token leaves of its rights
	expires    time.Time // when a user's token ends, zero for never
	session    digest    // of the session's cookie
}

// account is what a user may do. It never changes: a change makes a new one.
type account struct {
	administrator bool
	roles         map[string]Role // by folded top-level namespace
}

// Administrator reports whether p may do everything everywhere, as far as the
// scopes of its token go.
func (p Principal) Administrator() bool {
	switch p.Kind {
	case KindAdmin:
		return p.Namespace == sluice.Instance
	case KindUser:
		return p.account != nil && p.account.administrator
	}
	return false
}

// Role returns what a user is in a namespace or the one above it, "" without a
// role there. Administrators need none.
func (p Principal) Role(namespace string) Role {
	if p.account == nil {
		return ""
	}
	return p.account.roles[sluice.TopLevel(sluice.FoldNamespace(namespace))]
}

// Key tells the credential of p from all others: its token or session. "" is Sluice
// itself.
func (p Principal) Key() string {
	switch {
	case p.Kind != KindUser:
		return p.ID
	case p.Credential != "":
		return p.Credential
	}
	return "session/" + p.session.String()
}

// userID returns the id of the user that p is, "" for tokens of other kinds.
func (p Principal) userID() string {
	if p.Kind != KindUser {
		return ""
	}
	return p.ID
}

// sluiceItself is the author of what nobody asked for.
func sluiceItself() Principal { return Principal{Kind: KindAdmin, Name: "Sluice"} }
