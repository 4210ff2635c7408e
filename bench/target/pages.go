package target

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// browserPassword is that of the user who looks at the pages.
const browserPassword = "a password of the bench"

// A Browser looks at the pages as an administrator.
type Browser struct {
	s      *Sluice
	client *http.Client
}

// A View is a page that was read.
type View struct {
	Took  time.Duration // until its last byte
	Bytes int64         // as they came, compressed
	Later bool          // it says that something is still being counted
}

// SignIn makes a user with a name, an administrator, and signs that one in.
func (s *Sluice) SignIn(ctx context.Context, name string) (*Browser, error) {
	user := map[string]any{"name": name, "password": browserPassword, "administrator": true}
	if err := s.call(ctx, "POST", "/api/v1/users", user, nil); err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	b := &Browser{s: s, client: &http.Client{Timeout: callTimeout, Jar: jar, Transport: s.client.Transport}}
	form := url.Values{"name": {name}, "password": {browserPassword}}
	r, err := http.NewRequestWithContext(ctx, "POST", "http://"+s.address+"/-/sign_in", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, err = b.read(r)
	return b, err
}

// View reads a page.
func (b *Browser) View(ctx context.Context, path string) (View, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+b.s.address+path, nil)
	if err != nil {
		return View{}, err
	}
	return b.read(r)
}

func (b *Browser) read(r *http.Request) (v View, err error) {
	r.Header.Set("Accept-Encoding", "gzip")
	began := time.Now()
	resp, err := b.client.Do(r)
	if err != nil {
		return v, err
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	v.Bytes, err = io.Copy(&body, resp.Body)
	v.Took = time.Since(began)
	if err == nil && resp.Header.Get("Content-Encoding") == "gzip" {
		v.Later, err = later(&body)
	}
	if err == nil && (resp.StatusCode != http.StatusOK || resp.Request.Method == "GET" && resp.Request.URL.Path == "/-/sign_in") {
		err = fmt.Errorf("%s %s: answered %s at %s", r.Method, r.URL.Path, resp.Status, resp.Request.URL.Path)
	}
	return v, err
}

// later reports whether a page says that something is still being counted.
func later(body io.Reader) (bool, error) {
	plain, err := gzip.NewReader(body)
	if err != nil {
		return false, err
	}
	text, err := io.ReadAll(plain)
	return bytes.Contains(text, []byte("data-counting")), err
}

// HaveStreams makes streams of a top-level namespace until there are n, paused
// ones, to an address where nobody is, and returns the id of the last.
func (s *Sluice) HaveStreams(ctx context.Context, namespace string, n int) (id int64, err error) {
	var known struct{ Streams []struct{ ID int64 } }
	if err := s.call(ctx, "GET", "/api/v1/streams?namespace="+url.QueryEscape(namespace), nil, &known); err != nil {
		return 0, err
	}
	for _, stream := range known.Streams {
		id = stream.ID
	}
	for i := len(known.Streams); i < n; i++ {
		var out struct{ ID int64 }
		spec := map[string]any{"namespace": namespace, "name": fmt.Sprintf("stream %d", i), "kind": "http", "active": false, "start": "earliest",
			"config": map[string]any{"url": fmt.Sprintf("http://127.0.0.1:9/%d", i),
				"headers": []map[string]any{{"name": "Authorization", "value": "Bearer of-the-receiver"}}}}
		if err := s.call(ctx, "POST", "/api/v1/streams", spec, &out); err != nil {
			return 0, err
		}
		id = out.ID
	}
	return id, nil
}
