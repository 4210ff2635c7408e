package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"

	"github.com/klauspost/compress/gzip"
)

//go:embed assets
var assetFiles embed.FS

const assetRoot = "/-/assets/"

// assets are the styles, scripts and pictures of the pages. Their addresses hold
// a digest of all of them, so that browsers may keep them for as long as they
// like.
type assets struct {
	version string
	files   map[string]asset
}

type asset struct {
	contentType   string
	plain, packed []byte
}

func readAssets() *assets {
	a := &assets{files: map[string]asset{}}
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	digest := sha256.New()
	err := fs.WalkDir(assetFiles, "assets", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := assetFiles.ReadFile(file)
		if err != nil {
			return err
		}
		digest.Write([]byte(file + "\x00" + strconv.Itoa(len(text)) + "\x00"))
		digest.Write(text)
		packed, err := packAsset(text)
		a.files[path.Base(file)] = asset{contentType: types[path.Ext(file)], plain: text, packed: packed}
		return err
	})
	if err != nil {
		panic(err) // the files are a part of the program
	}
	a.version = hex.EncodeToString(digest.Sum(nil)[:8])
	return a
}

func packAsset(text []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	err = z.Close()
	return out.Bytes(), err
}

// url returns the address of an asset.
func (a *assets) url(name string) string { return assetRoot + a.version + "/" + name }

// ServeHTTP implements [http.Handler] for paths with a version and a name. A page
// that an earlier version of the server made gets what there is now, which its
// browser does not keep.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, found := a.files[r.PathValue("name")]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "assets can be read only", http.StatusMethodNotAllowed)
		return
	case !found:
		http.Error(w, "there is no such asset", http.StatusNotFound)
		return
	}
	h := w.Header()
	if r.PathValue("version") == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Content-Type", file.contentType)
	h.Set("Vary", "Accept-Encoding")
	body := file.plain
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = file.packed
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // nobody is left to be told
	}
}
