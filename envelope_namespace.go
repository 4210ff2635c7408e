package sluice

import (
	"bytes"
	"unsafe"
)

// readNamespace reads the namespace and, because one implies the other, the kind
// of the entity; it refuses an event of a namespace that is not the producer's.
func (p *pass) readNamespace(env *Envelope) {
	env.Kind = p.readKind()
	path := p.namespacePart(fieldEntityPath)
	switch {
	case p.refused != nil:
		return
	case string(path) == pathInstance:
		if len(env.Kind) == 0 {
			env.Kind = constant(KindInstance)
		}
		p.checkInstance()
		return
	case string(env.Kind) == KindUser || string(env.Kind) == KindInstance:
		p.checkInstance()
		return
	case len(path) > 0:
		env.Namespace = path
		p.checkNamespace(fieldEntityPath, path)
		return
	}
	p.readGitHubNamespace(env)
}

// readKind returns entity_type, empty when there is none.
func (p *pass) readKind() []byte {
	if p.empty(fieldEntityType) {
		return nil
	}
	raw := p.raw(fieldEntityType)
	if raw[0] != '"' {
		p.refuse(CodeBadKind, fieldEntityType, "the event's entity_type is not a string", "send `entity_type` as a string")
		return nil
	}
	kind := p.text(raw)
	if len(kind) > MaxEventType {
		p.refuse(CodeBadKind, fieldEntityType, "the event's entity_type is longer than 255 bytes", "send a shorter `entity_type`")
	}
	return kind
}

// readGitHubNamespace joins business, org and repo.
func (p *pass) readGitHubNamespace(env *Envelope) {
	business, org, repo := p.namespacePart(fieldBusiness), p.namespacePart(fieldOrg), p.namespacePart(fieldRepo)
	if p.refused != nil {
		return
	}
	last, kind := fieldBusiness, KindGroup
	switch {
	case len(repo) > 0:
		last, kind = fieldRepo, KindProject
	case len(org) > 0:
		last = fieldOrg
	case len(business) == 0:
		p.refuse(CodeMissingNamespace, noField, "the event does not say to which group or project it belongs",
			"send `entity_path`, or `business`, `org` or `repo`")
		return
	}
	if len(env.Kind) == 0 {
		env.Kind = constant(kind)
	}
	if bytes.IndexByte(repo, '/') >= 0 {
		org = nil // repo names its owner
	}
	if len(business) == 0 {
		business = constant(p.s.TopLevel)
	}
	env.Namespace = p.join(business, org, repo)
	p.checkNamespace(last, env.Namespace)
}

// namespacePart returns the text of f, or of its first element; empty when there
// is none. Another value than a string refuses the event.
func (p *pass) namespacePart(f field) []byte {
	if p.empty(f) {
		return nil
	}
	raw := p.raw(f)
	if f != fieldEntityPath {
		raw = p.firstElement(raw)
	}
	if len(raw) == 0 {
		return nil
	}
	if raw[0] != '"' {
		if p.refused == nil {
			p.refuse(CodeBadNamespace, f, "what the event belongs to is not a string", "send `entity_path`, `business`, `org` and `repo` as strings")
		}
		return nil
	}
	return p.text(raw)
}

// join joins the parts that are not empty by slashes; a single one stays in place.
func (p *pass) join(a, b, c []byte) []byte {
	switch {
	case len(a) == 0 && len(b) == 0:
		return c
	case len(a) == 0 && len(c) == 0:
		return b
	case len(b) == 0 && len(c) == 0:
		return a
	}
	path := p.s.room(len(a) + len(b) + len(c) + 2)
	for _, part := range [...][]byte{a, b, c} {
		if len(part) == 0 {
			continue
		}
		if len(path) > 0 {
			path = append(path, '/')
		}
		path = append(path, part...)
	}
	return p.s.keep(path)
}

// checkNamespace refuses what is no path and what is not the producer's.
func (p *pass) checkNamespace(f field, path []byte) {
	if !usualPath(path) {
		if err := CheckNamespace(view(path)); err != nil {
			p.refuse(CodeBadNamespace, f, "the event's "+err.Error(), "send a path such as acme/platform/api")
			return
		}
	}
	if !withinFolded(view(path), p.s.TopLevel) {
		p.refuse(CodeForeignNamespace, f, "the event belongs to another top-level namespace than the token",
			"use a token of that namespace, or correct the event's namespace")
	}
}

// usualPath reports whether path is of the common kind that [CheckNamespace] is
// sure to accept: short, of printable ASCII, no segment empty or starting with a
// dot. Most events are spared the slower check.
func usualPath(path []byte) bool {
	segments, starts := 1, true
	for _, c := range path {
		switch {
		case starts && (c == '/' || c == '.'):
			return false
		case c <= ' ' || c >= 0x7f:
			return false
		}
		if starts = c == '/'; starts {
			segments++
		}
	}
	return !starts && segments <= MaxNamespaceSegments && len(path) <= MaxNamespaceSegment
}

// checkInstance refuses an event of the installation from a bound producer.
func (p *pass) checkInstance() {
	if p.s.TopLevel == Instance {
		return
	}
	f := fieldEntityType
	if !p.present(f) {
		f = fieldEntityPath
	}
	p.refuse(CodeForeignNamespace, f, "the event belongs to a user or to the installation, the token to a top-level namespace",
		"only tokens of the instance may post events of users and of the installation")
}

// withinFolded is [Within] for paths that are not folded. It allocates only where
// cases beyond ASCII differ, or the answer is no.
func withinFolded(path, scope string) bool {
	if n := len(scope); len(path) >= n && equalFoldASCII(path[:n], scope) && (len(path) == n || path[n] == '/') {
		return true
	}
	return Within(FoldNamespace(path), FoldNamespace(scope))
}

// equalFoldASCII reports whether a and b, of one length, differ at most in the
// case of ASCII letters.
func equalFoldASCII(a, b string) bool {
	for i := range len(a) {
		x, y := a[i], b[i]
		if x != y && (x^y != 0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// constant is s as bytes that nobody may change.
func constant(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
