package rest

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"time"
)

// document describes the whole API in OpenAPI 3.1
// (https://spec.openapis.org/oas/v3.1.1.html). The tests hold every answer to it.
//
//go:embed openapi.yaml
var document []byte

// serveDocument returns the handler of the document, which clients may keep for
// an hour.
func serveDocument() http.HandlerFunc {
	sum := sha256.Sum256(document)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/yaml")
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(document))
	}
}
