package control

import (
	"github.com/sluicelog/sluice"
)

// Kinds of principals.
const (
	KindAdmin    = "admin"    // may do everything in its namespace
	KindProducer = "producer" // may post events
)

// Principal is who makes a request, as its token says.
type Principal struct {
	ID   string // of the token; the author of what the principal does
	Kind string // KindAdmin or KindProducer
	// Namespace is the top-level namespace the principal is bound to, folded;
	// "" is the instance: all of them.
	Namespace string
	Name      string
	number    int64 // of the token, 0 for Sluice itself
}

// action is something that a principal may be allowed to do in a namespace.
type action string

const (
	actionPost            action = "post events"
	actionReadStreams     action = "read streams"
	actionManageStreams   action = "change streams"
	actionManageTokens    action = "manage tokens"
	actionReadNamespaces  action = "read namespaces"
	actionManageNamespace action = "declare namespaces"
	actionOperate         action = "read metrics"
	actionManageNotices   action = "change notices"
	actionManageKeys      action = "manage sealing keys"
)

// may is the one place that decides who may do what. The namespace is folded;
// "" is the instance.
func may(p Principal, a action, namespace string) bool {
	if !sluice.Within(namespace, p.Namespace) {
		return false
	}
	switch p.Kind {
	case KindAdmin:
		return true
	case KindProducer:
		return a == actionPost
	}
	return false
}

// authorize returns nil when p may do a in the namespace. One who may do it
// nowhere is told so; what others own looks to p like what does not exist.
func authorize(p Principal, a action, namespace string) error {
	if may(p, a, namespace) {
		return nil
	}
	if !may(p, a, p.Namespace) {
		return sluice.Errorf(sluice.Forbidden, "this token may not %s", a).WithHint("use an administrator's token")
	}
	return errNotFound()
}

func errNotFound() *sluice.Error {
	return sluice.Errorf(sluice.NotFound, "there is no such thing here").
		WithHint("check the path and the id; it may have been deleted, or belong to somebody else")
}

// Operator returns nil when p may see figures of the whole installation.
func Operator(p Principal) error { return authorize(p, actionOperate, sluice.Instance) }

// sluiceItself is the author of what nobody asked for.
func sluiceItself() Principal { return Principal{Kind: KindAdmin, Name: "Sluice"} }
