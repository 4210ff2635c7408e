package control_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
)

// need is what a caller must have for an operation, as the manual says it.
type need struct {
	owner, auditor, anyone bool     // beside administrators
	everybody, admins      bool     // tokens of all kinds, or of administrators, too
	scopes                 []string // one of which a personal token must have
	// shown: who has this other need in a namespace is told that the operation
	// is forbidden there; others are told that there is nothing.
	shown string
}

func needs() map[string]need {
	change, read := []string{"api"}, []string{"api", "read_api"}
	enterprise := func(list []string) []string { return append(slices.Clone(list), "admin:enterprise") }
	all := []string{"api", "read_api", "read:audit_log", "admin:enterprise"}
	return map[string]need{
		"read events":     {owner: true, auditor: true, scopes: all},
		"read streams":    {owner: true, auditor: true, scopes: enterprise(read)},
		"read secrets":    {owner: true, scopes: enterprise(read)},
		"change streams":  {owner: true, scopes: enterprise(change), shown: "read streams"},
		"read namespaces": {owner: true, auditor: true, scopes: all},
		"manage":          {owner: true, scopes: change, shown: "read namespaces"},
		"read members":    {owner: true, scopes: read, shown: "read namespaces"},
		"read tokens":     {owner: true, scopes: read},
		"manage tokens":   {owner: true, scopes: change},
		"read self":       {anyone: true, scopes: all},
		"change self":     {anyone: true, scopes: change},
		"read instance":   {scopes: read},
		"manage instance": {scopes: change},
		"make own tokens": {anyone: true, admins: true, scopes: change},
		"list tokens":     {anyone: true, admins: true, scopes: all},
		"everybody":       {everybody: true, anyone: true, scopes: all},
	}
}

// actor is somebody who asks.
type actor struct {
	name string
	control.Principal
	administrator bool
	token         string                  // control.KindAdmin or control.KindProducer, "" for a user
	roles         map[string]control.Role // of a user
	scope         string                  // of the user's token, "" with a session
}

// may says what the manual promises.
func (a *actor) may(n need, namespace string) bool {
	switch {
	case n.everybody || a.token == control.KindAdmin && (n.admins || !n.anyone):
		return true
	case a.token != "" || a.scope != "" && !slices.Contains(n.scopes, a.scope):
		return false
	}
	role := a.roles[namespace]
	return a.administrator || n.anyone || n.owner && role == control.Owner || n.auditor && role == control.Auditor
}

func (a *actor) maySomewhere(n need) bool {
	return slices.ContainsFunc([]string{"", "acme", "umbra", "zeta"}, func(namespace string) bool { return a.may(n, namespace) })
}

// actors makes one of each kind.
func actors(t *testing.T, w *controltest.World) []*actor {
	poster, err := w.Service.CreateToken(t.Context(), w.Admin, control.TokenSpec{Namespace: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	posts, err := w.Service.Authenticate(t.Context(), poster.Text)
	if err != nil {
		t.Fatal(err)
	}
	addUser(t, w, "outsider", foreignSign, control.Owner) // to be seen by administrators only
	addUser(t, w, "guest", "", "")                        // who never asks
	out := []*actor{
		{name: "administrator's token", Principal: w.Admin, token: control.KindAdmin},
		{name: "producer's token", Principal: posts, token: control.KindProducer},
	}
	for name, roles := range map[string]map[string]control.Role{
		"administrator": {}, "nobody": {},
		"owner":   {"acme": control.Owner},
		"auditor": {"acme": control.Auditor},
		"both":    {"acme": control.Auditor, "zeta": control.Owner},
	} {
		addUser(t, w, name, "", "")
		root := name == "administrator"
		if _, err := w.Service.UpdateUser(t.Context(), w.Admin, name, control.UserPatch{Administrator: &root}); err != nil {
			t.Fatal(err)
		}
		for namespace, role := range roles {
			if _, err := w.Service.SetMember(t.Context(), w.Admin, control.MemberSpec{Namespace: namespace, User: name, Role: role}); err != nil {
				t.Fatal(err)
			}
		}
		_, p := signIn(t, w, name)
		out = append(out, &actor{name: name, Principal: p, administrator: root, roles: roles})
		for _, scope := range []string{"api", "read_api", "read:audit_log", "admin:enterprise"} {
			_, p := personal(t, w, name, scope)
			out = append(out, &actor{name: name + " with " + scope, Principal: p, administrator: root, roles: roles, scope: scope})
		}
	}
	return out
}

// target is a namespace with what is in it.
type target struct {
	namespace string
	stream    sluice.StreamID
	event     control.FoundEvent
}

// matrix holds what the operations are tried on.
type matrix struct {
	*controltest.World
	t       *testing.T
	targets map[string]target // "own", "foreign", "instance" and "absent"
}

// signs are texts that only those may see who see a namespace.
const foreignSign, instanceSign = "umbra", "of-the-installation"

func newMatrix(t *testing.T, w *controltest.World) *matrix {
	m := &matrix{World: w, t: t, targets: map[string]target{"absent": {namespace: "nowhere", stream: 4711, event: control.FoundEvent{Partition: "audit", Seq: 9999}}}}
	for name, namespace := range map[string]string{"own": "acme", "foreign": foreignSign, "instance": "", "zeta": "zeta"} {
		s := create(t, w, func(s *control.StreamSpec) {
			s.Namespace, s.Name = namespace, namespace+"-stream"
			if namespace == "" {
				s.Name = instanceSign
			}
		})
		m.targets[name] = target{namespace: namespace, stream: s.ID}
	}
	w.Post("acme/web", "user.add", 2)
	w.Post(foreignSign+"/web", "user.add", 2)
	synctest.Wait()
	for _, name := range []string{"own", "foreign"} {
		tg := m.targets[name]
		found, err := w.Service.Events(t.Context(), w.Admin, control.EventQuery{Namespace: tg.namespace})
		if err != nil || len(found.Events) == 0 {
			t.Fatalf("events of %s: got %d and error %v", name, len(found.Events), err)
		}
		tg.event = found.Events[0]
		m.targets[name] = tg
	}
	return m
}

// operation is how a method is tried. What changes something is called with a
// mistake that is found after the decision, or on something made for it.
type operation struct {
	need string
	at   []string // targets beside none: "own", "foreign", "instance"
	// list: it refuses no namespace and shows what may be seen there.
	list bool
	// orSelf: who may not, and may do this to the own things, is told that there
	// is nothing.
	orSelf string
	do     func(m *matrix, p control.Principal, tg target) (any, error)
}

// outcome is what a caller learns.
type outcome struct {
	code   sluice.Code // "" when it was allowed
	answer string
	err    error
}

func (m *matrix) try(o operation, a *actor, tg target) outcome {
	answer, err := o.do(m, a.Principal, tg)
	if err == nil {
		b, err := json.Marshal(answer)
		if err != nil {
			m.t.Fatal(err)
		}
		return outcome{answer: string(b)}
	}
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok {
		m.t.Fatalf("%s: got %v, want an error that a caller may see", a.name, err)
	}
	out := outcome{code: e.Code, answer: fmt.Sprintf("%+v", *e), err: err}
	if e.Code != sluice.Forbidden && e.Code != sluice.NotFound {
		out.code = "" // what follows the decision
	}
	return out
}

// check compares one operation with the table for one caller.
func (m *matrix) check(name string, o operation, a *actor) {
	n := needs()[o.need]
	absent := m.try(o, a, m.targets["absent"])
	if len(o.at) == 0 {
		m.wantCode(name, a, "", absent, m.want(o, a, n, ""))
		m.wantNothingForeign(name, a, absent)
		return
	}
	for _, at := range o.at {
		tg := m.targets[at]
		got := m.try(o, a, tg)
		allowed := a.may(n, tg.namespace)
		if o.list {
			allowed = a.maySomewhere(n)
		}
		want := m.want(o, a, n, tg.namespace)
		if allowed {
			want = ""
		}
		m.wantCode(name, a, at, got, want)
		if !a.may(n, tg.namespace) && want != sluice.Forbidden && got.answer != absent.answer {
			m.t.Errorf("%s by %s: got %s for %s and %s for what does not exist, want no difference", name, a.name, got.answer, at, absent.answer)
		}
		m.wantNothingForeign(name, a, got)
		if strings.Contains(got.answer, theHeaderValue) && !a.may(needs()["read secrets"], tg.namespace) {
			m.t.Errorf("%s by %s: the answer holds header values: %s", name, a.name, got.answer)
		}
	}
}

// want returns what a caller is told who is not allowed to.
func (m *matrix) want(o operation, a *actor, n need, namespace string) sluice.Code {
	switch {
	case a.may(n, namespace) || len(o.at) == 0 && a.maySomewhere(n):
		return ""
	case o.orSelf != "" && a.may(needs()[o.orSelf], ""):
		return sluice.NotFound
	case !a.maySomewhere(n), n.shown != "" && a.may(needs()[n.shown], namespace):
		return sluice.Forbidden
	}
	return sluice.NotFound
}

func (m *matrix) wantCode(name string, a *actor, at string, got outcome, want sluice.Code) {
	if got.code != want {
		m.t.Errorf("%s by %s, %s: got %q (%.200s), want %q", name, a.name, at, got.code, got.answer, want)
	}
}

func (m *matrix) wantNothingForeign(name string, a *actor, got outcome) {
	for _, sign := range []string{foreignSign, instanceSign} {
		if strings.Contains(got.answer, sign) && !a.administrator && a.token != control.KindAdmin {
			m.t.Errorf("%s by %s: the answer tells of others: %s", name, a.name, got.answer)
		}
	}
}

// TestMatrix goes through every operation with every kind of caller, on what is
// the caller's, another tenant's, the instance's, and not there.
func TestMatrix(t *testing.T) {
	searching(t, func(t *testing.T, w *controltest.World) {
		m := newMatrix(t, w)
		list := actors(t, w)
		for name, o := range operations() {
			for _, a := range list {
				m.check(name, o, a)
			}
		}
	})
}

// TestMatrixIsComplete finds every exported function that takes a Principal.
func TestMatrixIsComplete(t *testing.T) {
	tried := map[string]bool{}
	for name := range operations() {
		name, _, _ = strings.Cut(name, "/")
		tried[name] = true
	}
	found := map[string]bool{}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.IsExported() && takesPrincipal(fn) {
				found[fn.Name.Name] = true
				if !tried[fn.Name.Name] {
					t.Errorf("%s takes a Principal and has no entry in the matrix", fn.Name.Name)
				}
			}
		}
	}
	for name := range tried {
		if !found[name] {
			t.Errorf("the matrix has an entry for %s, which is not there", name)
		}
	}
}

func takesPrincipal(fn *ast.FuncDecl) bool {
	return slices.ContainsFunc(fn.Type.Params.List, func(f *ast.Field) bool {
		id, ok := f.Type.(*ast.Ident)
		return ok && id.Name == "Principal"
	})
}
