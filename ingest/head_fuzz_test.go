package ingest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzHead reads heads of requests that are anything at all: a key is short and
// printable, a token is what stood in one header, and the ids that follow from a
// key are the same each time and differ for each event.
func FuzzHead(f *testing.F) {
	for _, seed := range [][4]string{
		{"Bearer token", "", "gzip", "key"}, {"bearer  token", "", "", ""}, {"", "a-token-of-gitlab", " ZSTD ", "k\n"}, {"Basic Zm9v", "x", "identity", "ü"}, {"Bearer", "", "gzip, zstd", strings.Repeat("k", 256)},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], 7)
	}
	f.Fuzz(func(t *testing.T, authorization, gitlab, packed, key string, index int) {
		header := http.Header{}
		for name, value := range map[string]string{"Authorization": authorization, "X-Gitlab-Event-Streaming-Token": gitlab} {
			if value != "" {
				header[name] = []string{value}
			}
		}
		if token, err := tokenOf(header); err == nil && (token == "" || len(token) > maxToken || !strings.HasSuffix(authorization, token) && gitlab != token) {
			t.Errorf("token of %q, %q: got %q", authorization, gitlab, token)
		}
		if e, err := encodingOf([]string{packed}); err == nil && e > packedZstd {
			t.Errorf("encoding of %q: got %d", packed, e)
		}
		read, err := keyOf([]string{key})
		if err != nil {
			return
		}
		if read != key || key == "" || len(key) > maxKey || strings.IndexFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) >= 0 {
			t.Errorf("key %q: got %q", key, read)
		}
		hd := &head{producer: &Producer{Source: "t1"}, key: read}
		id := func(index int) string {
			var m idMaker
			m.begin(newIDSource(), time.Now, hd)
			m.index = index
			return string(m.append(nil))
		}
		if a, b, c := id(index), id(index), id(index+1); a != b || a == c || len(a) != 36 || a[14] != '8' {
			t.Errorf("ids of key %q: got %s, %s, then %s", key, a, b, c)
		}
	})
}
