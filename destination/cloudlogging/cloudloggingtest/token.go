package cloudloggingtest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	grantType  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	writeScope = "https://www.googleapis.com/auth/logging.write"
	// leeway is how far in the future a proof may have been issued.
	leeway = 5 * time.Second
)

// TokenFault is what goes wrong with a request for a token; the zero TokenFault
// is nothing.
type TokenFault struct {
	// Status and Error are the answer's; 0 is none.
	Status      int
	Error       string
	Description string
	// Body replaces the answer's body.
	Body string
	// Hang never answers, until the sender gives up.
	Hang bool
}

// badTime is what the endpoint says about proofs from another time.
const badTime = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."

func refuse(code, description string) TokenFault {
	return TokenFault{Status: http.StatusBadRequest, Error: code, Description: description}
}

func (g *Google) serveToken(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	n := g.tokens
	g.tokens++
	var f TokenFault
	if g.config.TokenScript != nil {
		f = g.config.TokenScript(n)
	}
	g.mu.Unlock()
	if f.Hang {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the sender is gone
		<-r.Context().Done()
		return
	}
	if f.Status == 0 {
		f = g.verify(r)
	}
	switch {
	case f.Body != "":
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body)) // the sender may be gone
	case f.Status != 0:
		writeJSON(w, f.Status, map[string]string{"error": f.Error, "error_description": f.Description})
	default:
		writeJSON(w, http.StatusOK, map[string]any{
			"access_token": g.grant(), "expires_in": int(g.config.TokenLife / time.Second), "token_type": "Bearer",
		})
	}
}

// grant makes a token.
func (g *Google) grant() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := "ya29.c." + rand.Text() + rand.Text()
	g.granted[t] = g.config.Now().Add(g.config.TokenLife)
	return t
}

// valid reports whether a request carries a token that holds.
func (g *Google) valid(r *http.Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	end, known := g.granted[t]
	return ok && known && g.config.Now().Before(end)
}

// verify judges the proof in a request (RFC 7523, RFC 7515).
func (g *Google) verify(r *http.Request) TokenFault {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != grantType {
		return refuse("unsupported_grant_type", "Invalid grant_type: "+r.PostForm.Get("grant_type"))
	}
	parts := strings.Split(r.PostForm.Get("assertion"), ".")
	if len(parts) != 3 {
		return refuse("invalid_request", "Bad Request")
	}
	var header struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
		Kid string `json:"kid,omitempty"`
	}
	if !decodePart(parts[0], &header) || header.Alg != "RS256" || header.Typ != "JWT" {
		return refuse("invalid_request", "Invalid JWT header.")
	}
	var claims struct {
		Iss   string `json:"iss"`
		Scope string `json:"scope"`
		Aud   string `json:"aud"`
		Exp   int64  `json:"exp"`
		Iat   int64  `json:"iat"`
	}
	if !decodePart(parts[1], &claims) {
		return refuse("invalid_request", "Invalid JWT claims.")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := g.config.Now()
	issued, ends := time.Unix(claims.Iat, 0), time.Unix(claims.Exp, 0)
	switch {
	case claims.Iss != g.config.Email:
		return refuse("invalid_grant", "Invalid grant: account not found")
	case err != nil || rsa.VerifyPKCS1v15(g.config.Key, crypto.SHA256, sum[:], signature) != nil:
		return refuse("invalid_grant", "Invalid JWT Signature.")
	case claims.Aud != audience(r):
		return refuse("invalid_grant", "Invalid JWT: Failed audience check.")
	case issued.After(now.Add(leeway)), !ends.After(now), ends.Sub(issued) > time.Hour:
		return refuse("invalid_grant", badTime)
	case claims.Scope != writeScope:
		return refuse("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
	}
	return TokenFault{}
}

// audience is the endpoint's own address.
func audience(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host + TokenPath
	}
	return "http://" + r.Host + TokenPath
}

func decodePart(part string, v any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode(v) == nil && !dec.More()
}
