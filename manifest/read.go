package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits of what is read.
const (
	MaxSource    = 1 << 20 // bytes of a file
	maxDocuments = 1000    // of a file
	maxDepth     = 16
)

// Source is a file.
type Source struct {
	// Name is its path: problems name it, and files that it names stand relative
	// to its folder.
	Name string
	Text []byte
}

// reader reads one file.
type reader struct {
	file     string
	problems Problems
}

func (r *reader) place(n *yaml.Node) Place { return Place{r.file, n.Line, n.Column} }

// Read reads files, each of any number of documents. Documents of one namespace
// are taken together. What is wrong is returned as [Problems].
func Read(sources ...Source) (*Manifest, error) {
	var problems Problems
	m := &Manifest{}
	for _, s := range sources {
		r := &reader{file: s.Name}
		for _, doc := range r.documents(s.Text) {
			m.take(r.document(doc))
		}
		problems = append(problems, r.problems...)
	}
	if len(problems) == 0 {
		problems = m.check()
	}
	if len(problems) == 0 && len(m.Namespaces) == 0 {
		for _, s := range sources {
			problems.add(Place{File: s.Name}, "there is no document in it")
		}
	}
	problems.sort()
	if err := problems[:min(len(problems), MaxProblems)].err(); err != nil {
		return nil, err
	}
	return m, nil
}

// sort orders by place: files in the order of their names.
func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.At.File, b.At.File), cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
}

// documents returns the roots of the documents that are sound.
func (r *reader) documents(text []byte) (out []value) {
	start := Place{File: r.file}
	switch {
	case len(text) > MaxSource:
		r.problems.add(start, "it is larger than %d bytes", MaxSource)
		return nil
	case !utf8.Valid(text):
		r.problems.add(start, "it is not UTF-8")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			r.problems.add(r.syntax(err))
			return nil
		}
		if len(out) == maxDocuments {
			r.problems.add(start, "it has more than %d documents", maxDocuments)
			return nil
		}
		if len(doc.Content) != 1 {
			continue
		}
		root := value{node: doc.Content[0], r: r}
		if root.null() || !root.sound(0) {
			continue
		}
		out = append(out, root)
	}
}

var syntaxLine = regexp.MustCompile(`^line (\d+): `)

// syntax puts the library's words about what is no YAML into ours. It knows the
// line only.
func (r *reader) syntax(err error) (at Place, format string, what any) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at = Place{File: r.file}
	if m := syntaxLine.FindStringSubmatch(text); m != nil {
		at.Line, _ = strconv.Atoi(m[1])
		at.Column = 1
		text = text[len(m[0]):]
	}
	return at, "it is not YAML: %s", text
}

// sound reports whether a tree has nothing that makes it mean something else than
// it seems to, or that makes a small file a large one.
func (v value) sound(depth int) bool {
	n := v.node
	wrong := func(format string, args ...any) bool {
		v.r.problems.add(v.at(), format, args...)
		return false
	}
	switch {
	case depth > maxDepth:
		return wrong("it is nested deeper than %d levels", maxDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return wrong("anchors and aliases (& and *) are not allowed: write it out")
	case n.Style&yaml.TaggedStyle != 0:
		return wrong("tags (%s) are not allowed: put text in quotes", shorten(n.Tag))
	case n.Kind == yaml.SequenceNode:
		for _, item := range v.items() {
			if !item.sound(depth + 1) {
				return false
			}
		}
	case n.Kind == yaml.MappingNode:
		return v.soundMapping(depth)
	}
	return true
}

func (v value) soundMapping(depth int) bool {
	seen := map[string]Place{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key, member := v.node.Content[i], v.node.Content[i+1]
		at := v.r.place(key)
		first, twice := seen[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0:
			v.r.problems.add(at, "a key must be text")
			return false
		case twice:
			v.r.problems.add(at, "%s has the field %q twice: it is in line %d, too", v.name(), shorten(key.Value), first.Line)
			return false
		}
		seen[key.Value] = at
		if !(value{node: member, path: join(v.path, key.Value), r: v.r}).sound(depth + 1) {
			return false
		}
	}
	return true
}
