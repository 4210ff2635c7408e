package web

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice/web/label"
)

//go:embed templates/*.html
var templateFiles embed.FS

// leastToPack is the size in bytes from which a page is compressed: smaller ones
// fit one packet anyway.
const leastToPack = 1200

// pages are the templates, each with the layout around it. They are parsed when they
// are shown first: together they take 7 MiB, and most servers are seldom looked at.
type pages struct {
	byName  map[string]func() *template.Template
	packers *sync.Pool // of *gzip.Writer
}

// readPages parses templates/: layout.html is around every page, files that begin
// with _ are parts of pages.
func readPages(a *assets) pages {
	p := pages{byName: map[string]func() *template.Template{}, packers: &sync.Pool{New: func() any { return gzip.NewWriter(nil) }}}
	shared := template.Must(template.New("layout.html").Funcs(functions(a)).ParseFS(templateFiles, "templates/layout.html", "templates/_*.html"))
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is constant
	}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || strings.HasPrefix(name, "_") {
			continue
		}
		p.byName[name] = sync.OnceValue(func() *template.Template {
			return template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, file))
		})
	}
	return p
}

// functions are what templates can call.
func functions(a *assets) template.FuncMap {
	return template.FuncMap{
		"asset": a.url,
		"label": label.English,
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"utc":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
		"utcs":  func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") },
		"count": count,
		"stage": stageWords,
	}
}

// write makes a page and sends it. With an error nothing was sent.
func (p pages) write(w http.ResponseWriter, r *http.Request, status int, name string, f frame) error {
	var buf bytes.Buffer
	if err := p.byName[name]().ExecuteTemplate(&buf, "layout.html", f); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "Accept-Encoding")
	body := &buf
	if buf.Len() >= leastToPack && takesGzip(r) {
		packed, err := p.pack(buf.Bytes())
		if err != nil {
			return err
		}
		h.Set("Content-Encoding", "gzip")
		body = packed
	}
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // nobody is left to be told
	}
	return nil
}

func (p pages) pack(text []byte) (*bytes.Buffer, error) {
	var out bytes.Buffer
	z := p.packers.Get().(*gzip.Writer)
	defer p.packers.Put(z)
	z.Reset(&out)
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	return &out, z.Close()
}

// takesGzip reports whether the client reads gzip
// (https://www.rfc-editor.org/rfc/rfc9110#field.accept-encoding).
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		weight, weighted := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q=")
		q, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
		return !weighted || err == nil && q > 0
	}
	return false
}
