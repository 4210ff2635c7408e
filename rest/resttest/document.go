// Package resttest holds an HTTP API to its OpenAPI document, in tests: a handler
// is wrapped so that each of its answers, and each body that it accepted, is
// compared with what the document says. So every test of the API is one of the
// document, too.
package resttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// where the schemas of the document lie for the compiler.
const base = "https://sluice.invalid/openapi.yaml#"

// Methods are those of the operations of a document, in capitals.
func Methods() []string {
	return []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
}

// Document is an OpenAPI 3.1 document. It may be used by several goroutines at
// once.
type Document struct {
	root     object
	mu       sync.Mutex // held for what follows
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by JSON pointer
	seen     map[string]bool               // operations that were answered with success
}

type object = map[string]any

// Read reads a document in YAML.
func Read(text []byte) (*Document, error) {
	var plain any
	if err := yaml.Unmarshal(text, &plain); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(plain) // which tells whether it is one of JSON's values
	if err != nil {
		return nil, err
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return nil, err
	}
	d := &Document{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}, seen: map[string]bool{}}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	var ok bool
	if d.root, ok = root.(object); !ok {
		return nil, fmt.Errorf("the document is not an object")
	}
	return d, d.compiler.AddResource(strings.TrimSuffix(base, "#"), root)
}

// Operations lists the operations as "GET /path", in order.
func (d *Document) Operations() []string {
	var out []string
	for path, item := range at(d.root, "paths") {
		for _, method := range Methods() {
			if at(item, strings.ToLower(method)) != nil {
				out = append(out, method+" "+path)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Unseen lists the operations that were not yet answered with the success that
// the document names first.
func (d *Document) Unseen() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(d.Operations(), func(op string) bool { return d.seen[op] })
}

// Queries lists the query parameters of an operation, "GET /path", in order.
func (d *Document) Queries(name string) (names []string) {
	method, path, _ := strings.Cut(name, " ")
	op, _ := d.operation(method, path)
	if op == nil {
		return nil
	}
	for _, p := range op.parameters {
		if text, ok := p.object["name"].(string); ok && p.object["in"] == "query" {
			names = append(names, text)
		}
	}
	slices.Sort(names)
	return names
}

// operation is one operation of the document.
type operation struct {
	name       string // "GET /path"
	pointer    string
	body       object      // nil when the document does not say that there may be one
	parameters []parameter // of the path, too
	responses  object
}

type parameter struct {
	object
	place string // a JSON pointer
}

// operation finds what a request asks for; known says that at least the path is
// in the document.
func (d *Document) operation(method, path string) (op *operation, known bool) {
	template, ok := d.template(path)
	if !ok {
		return nil, false
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	item := at(at(d.root, "paths"), template)
	entry := at(item, strings.ToLower(method))
	if entry == nil {
		return nil, true
	}
	op = &operation{name: method + " " + template, pointer: pointer("paths", template, strings.ToLower(method))}
	op.body, op.responses = at(entry, "requestBody"), at(entry, "responses")
	for place, owner := range map[string]object{pointer("paths", template): item, op.pointer: entry} {
		list, _ := owner["parameters"].([]any)
		for i, p := range list {
			at, resolved := d.resolve(place+pointer("parameters", strconv.Itoa(i)), p)
			op.parameters = append(op.parameters, parameter{resolved, at})
		}
	}
	return op, true
}

// template returns the path of the document that matches: the one with the
// fewest parameters.
func (d *Document) template(path string) (string, bool) {
	best, fewest := "", -1
	for template := range at(d.root, "paths") {
		if n, ok := match(template, path); ok && (fewest < 0 || n < fewest) {
			best, fewest = template, n
		}
	}
	return best, fewest >= 0
}

// match compares segment by segment and counts the parameters.
func match(template, path string) (parameters int, ok bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return 0, false
	}
	for i, segment := range want {
		if strings.HasPrefix(segment, "{") && got[i] != "" {
			parameters++
			continue
		}
		if segment != got[i] {
			return 0, false
		}
	}
	return parameters, true
}

// success returns the status of success that the document names first.
func (op *operation) success() string {
	return slices.Min(slices.Collect(maps.Keys(op.responses)))
}

// resolve follows a reference, and returns where the object lies.
func (d *Document) resolve(place string, v any) (string, object) {
	o, _ := v.(object)
	ref, ok := o["$ref"].(string)
	if !ok {
		return place, o
	}
	place = strings.TrimPrefix(ref, "#")
	var to any = d.root
	for _, name := range strings.Split(strings.TrimPrefix(place, "/"), "/") {
		o, _ := to.(object)
		to = o[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	return d.resolve(place, to)
}

// check compares a value with the schema at a JSON pointer.
func (d *Document) check(place string, value any) error {
	s, err := d.schema(place)
	if err != nil {
		return err
	}
	return s.Validate(value)
}

func (d *Document) schema(place string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[place]; s != nil {
		return s, nil
	}
	s, err := d.compiler.Compile(base + place)
	if err == nil {
		d.schemas[place] = s
	}
	return s, err
}

// at returns a member that is an object, nil without one.
func at(v any, name string) object {
	o, _ := v.(object)
	member, _ := o[name].(object)
	return member
}

// pointer returns a JSON pointer (RFC 6901).
func pointer(names ...string) string {
	out := ""
	for _, name := range names {
		out += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	}
	return out
}

// Object returns the members of the object that the schema at a place describes,
// the place being names on the way from the root, and which of them it requires.
func (d *Document) Object(place ...string) (members, required []string) {
	_, schema := d.resolve("", object{"$ref": "#" + pointer(place...)})
	all := []object{schema}
	parts, _ := schema["allOf"].([]any)
	for _, part := range parts {
		_, resolved := d.resolve("", part)
		all = append(all, resolved)
	}
	for _, part := range all {
		members = slices.AppendSeq(members, maps.Keys(at(part, "properties")))
		list, _ := part["required"].([]any)
		for _, name := range list {
			required = append(required, fmt.Sprint(name))
		}
	}
	slices.Sort(members)
	slices.Sort(required)
	return members, required
}

// Schemas lists the names of the schemas that the document shares, in order.
func (d *Document) Schemas() []string {
	return slices.Sorted(maps.Keys(at(at(d.root, "components"), "schemas")))
}
